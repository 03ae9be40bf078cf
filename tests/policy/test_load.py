"""Policies are read all or nothing, and always end in an answer."""

from pathlib import Path

import pytest

from gateway.documents import Invalid
from gateway.policy.load import load_policies
from gateway.stages.base import Names
from gateway.stages.relay import RelayPolicy

NAMES = Names(models={"gpt-4o"})


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_relay_is_added_where_it_is_missing(tmp_path: Path) -> None:
    policies = load_policies(folder(tmp_path, default="# nothing\n"), NAMES, {})
    assert policies["default"].pipeline == (RelayPolicy(),)


def test_a_relay_that_is_there_is_kept(tmp_path: Path) -> None:
    text = "pipeline: [{stage: relay, mode: buffered}]\n"
    policies = load_policies(folder(tmp_path, default=text), NAMES, {})
    assert policies["default"].pipeline == (RelayPolicy(mode="buffered"),)


def test_a_policy_is_called_as_it_says_or_else_as_its_file(tmp_path: Path) -> None:
    files = folder(tmp_path, default="", research="", other="name: bulk\n")
    assert list(load_policies(files, NAMES, {})) == ["default", "bulk", "research"]


def test_without_a_default_nothing_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"there is no default.yaml"):
        load_policies(folder(tmp_path, other=""), NAMES, {})
    with pytest.raises(Invalid, match=r"there is no default.yaml"):
        load_policies(tmp_path / "nowhere", NAMES, {})


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    files = folder(tmp_path, default="a: [\n", other="pipline: []\n", third="")
    with pytest.raises(Invalid) as caught:
        load_policies(files, NAMES, {})
    assert [Path(problem.file).stem for problem in caught.value.problems] == ["default", "other"]
