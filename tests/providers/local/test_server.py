"""The child by itself: one line on its output, and an end as soon as its input ends."""

import subprocess
import sys
from pathlib import Path

import pytest

import gateway.providers.local.provider
from gateway.providers.local.provider import LocalConfig

SERVER = str(Path(gateway.providers.local.provider.__file__).with_name("server.py"))
MISSING = LocalConfig().unusable()
needs_model = pytest.mark.skipif(bool(MISSING), reason=f"no local model: {MISSING}")


def start(*arguments: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-I", SERVER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdin is not None
    child.stdin.write("key\n")
    child.stdin.flush()
    return child


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def test_what_goes_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    with start(str(tmp_path / "none.gguf"), "alias", "512", "1") as child:
        assert first_line(child).startswith("failed ")
        assert first_line(child) == ""
    assert child.returncode == 0


@needs_model
@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("512", "1", "too many"), ("not a number", "1"), ("512",)])
def test_wrong_arguments_are_said_too(arguments: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"not a model")
    with start(str(path), "alias", *arguments) as child:
        assert first_line(child).startswith("failed ")


@needs_model
@pytest.mark.slow
def test_it_says_its_port_and_ends_with_its_input() -> None:
    with start(str(LocalConfig().find_model()), "alias", "512", "1") as child:
        word, port = first_line(child).split()
        assert word == "ready"
        assert 1024 <= int(port) <= 65535
        assert child.poll() is None
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(timeout=10) == 0
