"""Broken configuration, and what is said about it: file, line, cause and cure.

`golden/config/<kind>-<case>.yaml` takes the place of one file of the shipped configuration;
`.error` beside it holds the message. H01 and J07 of the catalogue.
"""

import shutil
from pathlib import Path

import pytest

from gateway.documents import Invalid
from gateway.policy.setup import load_setup

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests/golden/config").glob("*.yaml"))
PLACES = {
    "gateway": "config/gateway.yaml",
    "models": "config/models.yaml",
    "policy": "policies/default.yaml",
    "tenants": "policies/tenants.yaml",
}
ENVIRONMENT = {"ALICE_KEY": "hunter2-alice"}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_h01_j07_a_broken_file_is_refused_with_file_line_cause_and_cure(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    if case.stem == "policy-name":
        (tmp_path / "policies/also.yaml").write_text("name: other\n")
    shutil.copy(case, tmp_path / PLACES[case.stem.partition("-")[0]])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid) as caught:
        load_setup(Path("config"), Path("policies"), ENVIRONMENT)
    assert "hunter2" not in str(caught.value)
    assert f"{caught.value}\n" == case.with_suffix(".error").read_text()


def test_the_shipped_configuration_is_right_without_any_key() -> None:
    setup = load_setup(ROOT / "config", ROOT / "policies", {})
    assert "simulated/demo" in setup.catalogue.served()
    assert setup.catalogue.unserved["gpt-4o-mini"] == "Set OPENAI_API_KEY, then restart."
    assert setup.catalogue.aliases["default"] == "local/smollm2"


def test_a_key_in_the_environment_serves_its_models() -> None:
    setup = load_setup(ROOT / "config", ROOT / "policies", {"OPENAI_API_KEY": "hunter2"})
    assert {"gpt-4o", "gpt-4o-mini"} <= set(setup.catalogue.served())
    assert "claude-haiku-4-5" in setup.catalogue.unserved
    assert "hunter2" not in repr(setup)
