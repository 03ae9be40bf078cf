"""What `turnout cache eval` reads: labelled pairs, or traffic that a policy recorded."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from gateway.commands.json_lines import Unreadable, read_lines
from gateway.core import wire
from gateway.core.traffic import VERSION, Record
from gateway.stages.semantic_cache.scoring import Pair

LONGEST: Final = 8 << 20
"""Bytes of a line."""


class _Kind(Struct):
    v: int | None = None


def read(path: Path) -> Sequence[Pair] | Sequence[Record]:
    """Return the pairs or the recorded requests of a file, or of all files below a folder.

    Recorded requests come in the order of their time. Raises Unreadable, OSError and what broken
    archives raise.
    """
    lines = list(_lines(path))
    if not lines:
        raise Unreadable("there is no pair in it, and no recorded request")
    if _kind(*lines[0]) is None:
        return [_pair(*each) for each in lines]
    return sorted((_record(*each) for each in lines), key=lambda record: record.at)


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what is no empty line, each with where it stands."""
    for file, number, line in read_lines(_files(path), LONGEST):
        if line.strip():
            yield f"line {number}" if file == path else f"{file.name}, line {number}", line


def _files(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.rglob("*.jsonl*") if each.is_file())


def _kind(place: str, line: bytes) -> int | None:
    """Return the version of a recorded request, None for a pair."""
    try:
        return wire.decode_as(line, _Kind).v
    except ValueError as error:
        raise Unreadable(f"{place}: {error}") from error


def _pair(place: str, line: bytes) -> Pair:
    try:
        pair = wire.decode_as(line, Pair)
    except ValueError as error:
        raise Unreadable(f"{place}: {error}") from error
    if pair.y not in {0, 1}:
        raise Unreadable(f"{place}: `y` must be 1 for one meaning or 0 for two")
    return pair


def _record(place: str, line: bytes) -> Record:
    version = _kind(place, line)
    if version != VERSION:
        raise Unreadable(f"{place}: `v` is {version}, and {VERSION} is what can be read here")
    try:
        return wire.decode_as(line, Record)
    except ValueError as error:
        raise Unreadable(f"{place}: {error}") from error
