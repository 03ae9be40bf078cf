"""`turnout check` says all that is wrong, or that nothing is."""

import json
from pathlib import Path

import pytest

from gateway.__main__ import main
from tests.fakes.gateway import write_config


def test_a_right_configuration_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(tmp_path)
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        "All is well: policies 1, tenants 1, providers 1, models 1, tests 0; "
        "names served with the keys set here: 1.\n"
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


FAILING = """\
tests:
  - name: it is 100 % right
    given:
      request: {model: simulated/demo}
    expect:
      status: 404
"""


def test_a_failing_test_is_an_error_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path)
    (tmp_path / "policies/default.yaml").write_text(FAILING)
    assert main(["check", str(tmp_path)]) == 1
    assert capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines() == [
        (
            "policies/default.yaml:6: tests[0].expect.status: expected 404, got 200. "
            "[it is 100 % right]"
        ),
        "",
        "1 error.",
    ]


def test_warnings_alone_are_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(tmp_path)
    (tmp_path / "policies/other.yaml").write_text("pipeline: []\n")
    assert main(["check", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    assert printed[0].startswith("policies/other.yaml:1: warning: no tenant uses the policy")
    assert printed[2].startswith("All is well but for 1 warning: policies 2, ")


def test_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(tmp_path)
    (tmp_path / "policies/default.yaml").write_text(FAILING)
    assert main(["check", str(tmp_path), "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "problems": [
            {
                "file": f"{tmp_path}/policies/default.yaml",
                "line": 6,
                "severity": "error",
                "text": "tests[0].expect.status: expected 404, got 200. [it is 100 % right]",
            }
        ],
    }


def test_github_turns_problems_into_annotations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path)
    (tmp_path / "policies/default.yaml").write_text(FAILING)
    (tmp_path / "policies/other.yaml").write_text("pipeline: []\n")
    assert main(["check", str(tmp_path), "--format", "github"]) == 1
    first, second = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    assert first == (
        "::error file=policies/default.yaml,line=6::tests[0].expect.status: expected 404, "
        "got 200. [it is 100 %25 right]"
    )
    assert second.startswith("::warning file=policies/other.yaml,line=1::no tenant uses")
