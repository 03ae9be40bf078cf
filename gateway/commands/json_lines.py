"""Files of JSON Lines, as commands take them: gzipped or not, and none without end."""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

MOST: Final = 1_000_000
"""Lines of all files together."""


class Unreadable(ValueError):
    """A file holds something else; the text says where and what."""


def read_lines(paths: Sequence[Path], longest: int) -> Iterator[tuple[Path, int, bytes]]:
    """Yield every line, empty ones too, with its file and its number in it.

    What is longer than `longest` bytes comes in pieces, which are no JSON. Raises Unreadable for
    more than `MOST` lines, OSError, and what broken archives raise.
    """
    count = 0
    for path in paths:
        with path.open("rb") as start:
            packed = start.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as lines:
            number = 0
            while line := lines.readline(longest):
                number += 1
                count += 1
                if count > MOST:
                    raise Unreadable(f"more than {MOST:,} lines")
                yield path, number, line
