"""Files of rows: gzipped or not, and every bad line named."""

import gzip
import json
from pathlib import Path

import pytest

from gateway.commands.json_lines import Unreadable
from gateway.commands.router_rows import MOST_NAMED, read_examples

ROWS = [{"prompt": f"Why {number}?", "weak": 0, "strong": 1} for number in range(3)]
TEXT = "\n\n".join(map(json.dumps, ROWS)) + "\n"


def quiet(_: str) -> None:
    """Hear of the progress."""


def test_rows_of_several_files_come_in_their_order(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_text(TEXT)
    packed.write_bytes(gzip.compress(TEXT.encode()))
    found = read_examples([packed, plain], quiet)
    assert [each.row.prompt for each in found] == ["Why 0?", "Why 1?", "Why 2?"] * 2
    assert all(each.gain == 1 for each in found)


def test_every_bad_line_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(TEXT + '{"prompt": 3}\n{"prompt": "x", "weak": 7}\n')
    with pytest.raises(Unreadable) as caught:
        read_examples([path], quiet)
    assert str(caught.value).split("\n") == [
        f"{path}: line 6: JSON of another shape",
        f"{path}: line 7: `weak` must be from 0 to 1, or null",
    ]


def test_a_file_of_something_else_is_given_up_after_ten_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("no\n" * 1000)
    with pytest.raises(Unreadable) as caught:
        read_examples([path], quiet)
    assert len(str(caught.value).split("\n")) == MOST_NAMED


def test_a_broken_archive_and_an_empty_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-9])
    with pytest.raises(Unreadable, match=r"a\.jsonl\.gz: Compressed file ended"):
        read_examples([path], quiet)
    path.write_bytes(b"\n")
    with pytest.raises(Unreadable, match="there is no row in it"):
        read_examples([path], quiet)


def test_progress_is_told(tmp_path: Path) -> None:
    path, heard = tmp_path / "a.jsonl", list[str]()
    path.write_text('{"prompt": "x"}\n' * 5001)
    read_examples([path], heard.append)
    assert heard == ["5,000 rows are read", "5,001 rows are read"]
