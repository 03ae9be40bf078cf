"""`turnout check` says all that is wrong, or that nothing is."""

from pathlib import Path

import pytest

from gateway.__main__ import main
from tests.fakes.gateway import write_config


def test_a_right_configuration_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(tmp_path)
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        "All is well: policies 1, tenants 1, providers 1, models 1; names served with the keys "
        "set here: 1.\n"
    )


def test_a_wrong_one_is_1_and_every_problem_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path)
    (tmp_path / "config/gateway.yaml").write_text("listen: 127.0.0.1:0\nadmn: 127.0.0.1:0\n")
    (tmp_path / "policies/default.yaml").write_text("pipeline:\n  - stage: realy\n")
    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    assert lines == [
        "config/gateway.yaml:2: admn: there is no such field. Did you mean `admin`?",
        "policies/default.yaml:2: pipeline[0].stage: there is no such value. Did you mean `relay`?",
        "",
        "2 errors.",
    ]


def test_folders_can_be_named_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path)
    (tmp_path / "policies/default.yaml").unlink()
    folders = ["--config", f"{tmp_path}/config", "--policies", f"{tmp_path}/policies"]
    assert main(["check", *folders]) == 1
    assert capsys.readouterr().out.endswith("\n1 error.\n")
