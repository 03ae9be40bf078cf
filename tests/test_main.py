"""The command line: help that reads well, and no traceback for what a person got wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.__main__ import main
from tests.fakes.gateway import write_config


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for line in (
        "serve     run the gateway",
        "check     check the configuration without starting anything",
        "models    list the models and whether they are served",
        "schema    print the JSON Schema of a YAML file",
    ):
        assert line in shown


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "required: COMMAND" in capsys.readouterr().err


def test_invalid_configuration_is_2_and_its_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path)
    (tmp_path / "config/models.yaml").write_text("models: {a: {provider: simulatd}}\n")
    options = ["--config", f"{tmp_path}/config", "--policies", f"{tmp_path}/policies"]
    assert main(["models", *options]) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path}/config/models.yaml:1: models.a.provider: gateway.yaml has no such provider. "
        "Did you mean `simulated`?\n"
    )


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = f"{sys.executable} -m gateway schema gateway | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("turnout 0.")
