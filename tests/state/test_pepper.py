"""The pepper's file: made once, whole, and for us alone."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from gateway.core.errors import StateUnavailable
from gateway.state.pepper import pepper_of

FRESH = "0123456789abcdefghijABCDEFGHIJ01"
RACER = """
import sys
from pathlib import Path
from gateway.state.pepper import pepper_of
sys.stdin.readline()
print(pepper_of(Path(sys.argv[1]), lambda: sys.argv[2] * 32).reveal())
"""


def test_j03_it_is_made_at_first_for_us_alone_and_stays(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    first = pepper_of(data, lambda: FRESH)
    again = pepper_of(data, lambda: "never asked for")
    assert first.reveal() == again.reveal() == FRESH
    assert first.source == f"file:{data / 'pepper'}"
    assert [path.name for path in data.iterdir()] == ["pepper"]
    assert (data / "pepper").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700


def test_processes_that_start_at_once_agree_on_one(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "abcd"
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    found = {racer.communicate()[0].strip() for racer in racers}
    assert found == {(tmp_path / "pepper").read_text().strip()}
    assert [path.name for path in tmp_path.iterdir()] == ["pepper"]


def test_threads_that_race_100_times_agree_each_time(tmp_path: Path) -> None:
    numbers = count()

    def fresh() -> str:
        return f"{next(numbers):032}"

    with ThreadPoolExecutor(8) as pool:
        for turn in range(100):
            data = tmp_path / str(turn)
            racing = [pool.submit(pepper_of, data, fresh) for _ in range(8)]
            assert len({each.result().reveal() for each in racing}) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "too short to be a pepper"),
        (b"short\n", "put back the one that your keys were made with"),
        (b"\xff" * 40, "it is not ASCII text"),
    ],
)
def test_a_file_that_is_no_pepper_is_never_replaced(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "pepper").write_bytes(content)
    with pytest.raises(StateUnavailable) as caught:
        pepper_of(tmp_path, lambda: FRESH)
    assert said in caught.value.detail
    assert (tmp_path / "pepper").read_bytes() == content


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StateUnavailable, match="cannot be used: File exists"):
        pepper_of(tmp_path / "data", lambda: FRESH)
