"""What `turnout cache eval` is given: pairs or recorded requests, of one file or many."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.eval_files import read
from gateway.commands.json_lines import Unreadable
from gateway.core import wire
from gateway.core.traffic import Record
from gateway.stages.semantic_cache.scoring import Pair
from tests.telemetry.test_traffic import record


def lines(*records: Record) -> bytes:
    return b"".join(wire.encode(each) + b"\n" for each in records)


def test_pairs_are_told_by_their_first_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs"
    file.write_text('\n{"a": "x", "b": "y", "y": 1}\n')
    assert read(file) == [Pair("x", "y", 1)]


def test_recorded_requests_of_a_folder_come_in_the_order_of_their_time(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice/b.jsonl").write_bytes(lines(record(id="3", at=3.0), record(id="1", at=1.0)))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(record(id="2", at=2.0))))
    (tmp_path / "notes.txt").write_text("no log")
    found = read(tmp_path)
    assert [each.id for each in found if isinstance(each, Record)] == ["1", "2", "3"]


def test_a_field_more_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "log"
    line = json.loads(wire.encode(record()))
    file.write_text(json.dumps({**line, "newer": 1}) + "\n")
    assert read(file) == [record(verdicts=[], tried=[], betas=[])]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"v": 2}, "line 2: `v` is 2, and 1 is what can be read here"),
        ({"v": None}, "line 2: `v` is None, and 1 is"),
        ({"at": "noon"}, "line 2: JSON of another shape"),
    ],
)
def test_a_bad_line_is_named_with_its_number(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    file = tmp_path / "log"
    line = json.loads(wire.encode(record()))
    file.write_text(f"{json.dumps(line)}\n{json.dumps({**line, **change})}\n")
    with pytest.raises(Unreadable, match=problem):
        read(file)


def test_of_a_folder_the_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(record()))
    (tmp_path / "b.jsonl").write_bytes(lines(record()) + b"{half a li")
    with pytest.raises(Unreadable, match=r"b\.jsonl, line 2: "):
        read(tmp_path)


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no pair in it, and no recorded request"):
        read(tmp_path)
