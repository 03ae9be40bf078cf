"""The graph is built once, checked each time, and built again when anything is not as it was."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core import wire
from gateway.semantic.minilm.model_file import ABOUT, FOLDER, MODEL, model_file


class Counted:
    """Stands for the builder, which is tested by what it builds."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return b"graph" * 1000


def test_it_is_built_once_and_then_read(tmp_path: Path) -> None:
    build = Counted()
    assert model_file(tmp_path, build) == model_file(tmp_path, build)
    assert build.times == 1


@pytest.mark.parametrize("name", [MODEL, ABOUT])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_built_again(tmp_path: Path, name: str, harm: str) -> None:
    build = Counted()
    good = model_file(tmp_path, build)
    path = tmp_path / FOLDER / name
    raw = bytearray(path.read_bytes())
    if harm == "flipped":
        raw[len(raw) // 2] ^= 1
    path.write_bytes(raw[:-1] if harm == "cut" else raw)
    if harm == "gone":
        path.unlink()
    assert model_file(tmp_path, build) == good
    assert build.times == 2
    model_file(tmp_path, build)
    assert build.times == 2


def test_a_file_of_another_recipe_is_built_again(tmp_path: Path) -> None:
    build = Counted()
    model_file(tmp_path, build)
    about = tmp_path / FOLDER / ABOUT
    about.write_bytes(wire.encode({**wire.decode(about.read_bytes()), "recipe": "older"}))
    model_file(tmp_path, build)
    assert build.times == 2


def test_where_nothing_can_be_written_it_is_built_for_this_process(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    build = Counted()
    assert model_file(tmp_path, build) == b"graph" * 1000


def test_nothing_is_left_beside_the_two_files_and_the_lock(tmp_path: Path) -> None:
    model_file(tmp_path, Counted())
    assert {p.name for p in (tmp_path / FOLDER).iterdir()} == {MODEL, ABOUT, "lock"}


BUILDER = """
import sys, time
from pathlib import Path
from gateway.semantic.minilm.model_file import model_file
def build():
    time.sleep(0.3)
    with open(sys.argv[1] + "/built", "a") as file:
        file.write("x")
    return b"graph"
assert model_file(Path(sys.argv[1]), build) == b"graph"
"""


@pytest.mark.slow
def test_processes_that_start_together_build_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDER, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    assert (tmp_path / "built").read_text() == "x"
