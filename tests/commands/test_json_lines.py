"""Files of JSON Lines, whatever they are packed in."""

import gzip
from pathlib import Path

import pytest

from gateway.commands.json_lines import Unreadable, read_lines


def test_lines_of_all_files_come_with_their_file_and_number(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(b"1\n\n3")
    packed.write_bytes(gzip.compress(b"4\n"))
    assert list(read_lines([plain, packed], 100)) == [
        (plain, 1, b"1\n"),
        (plain, 2, b"\n"),
        (plain, 3, b"3"),
        (packed, 1, b"4\n"),
    ]


def test_a_line_that_is_too_long_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 25)
    assert [len(line) for _, _, line in read_lines([path], 10)] == [10, 10, 5]


def test_lines_of_all_files_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.commands.json_lines.MOST", 3)
    path = tmp_path / "a"
    path.write_bytes(b"1\n2\n")
    with pytest.raises(Unreadable, match="more than 3 lines"):
        list(read_lines([path, path], 10))
