"""`turnout check` on directories full of mistakes: file, line, cause and cure for each, in one go.

H01 and J07 of the catalogue. What is said stands in `expected.txt` beside the files.
"""

from pathlib import Path

import pytest

from gateway.__main__ import main

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("folder", ["policies", "trials"])
def test_h01_j07_every_mistake_is_said_in_one_pass(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(GOLDEN / folder)
    monkeypatch.setenv("ALICE_KEY", "hunter2-is-of-alice")
    monkeypatch.setenv("BOB_KEY", "hunter2-is-bobs-own")
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "hunter2" not in said
    assert said == Path("expected.txt").read_text()


def test_no_broken_policy_goes_unnoticed() -> None:
    said = (GOLDEN / "policies/expected.txt").read_text()
    broken = list((GOLDEN / "policies/policies").glob("*.yaml"))
    quiet = {path.name for path in broken if f"{path.name}:" not in said}
    assert len(broken) > 20
    assert quiet == {"default.yaml"}
