"""Files of rows that the router learns from or is judged on."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.commands.json_lines import Unreadable, read_lines
from gateway.stages.complexity_router.labelled import Example, example, parse_row

LONGEST: Final = 4 << 20
"""Bytes of a line."""
MOST_NAMED: Final = 10
"""Bad lines that are named before reading ends."""
TOLD_EVERY: Final = 5000


def read_examples(paths: Sequence[Path], tell: Callable[[str], None]) -> list[Example]:
    """Read files of rows, gzipped or not, with their features; `tell` hears of the progress.

    Raises Unreadable with up to `MOST_NAMED` bad lines of a file, and OSError.
    """
    examples: list[Example] = []
    for path in paths:
        bad: list[str] = []
        for number, line in _lines(path):
            try:
                examples.append(example(parse_row(line)))
            except ValueError as error:
                bad.append(f"{path}: line {number}: {error}")
                if len(bad) == MOST_NAMED:
                    break
            if len(examples) % TOLD_EVERY == 0:
                tell(f"{len(examples):,} rows are read")
        if bad:
            raise Unreadable("\n".join(bad))
    if not examples:
        raise Unreadable(f"{paths[0]}: there is no row in it")
    tell(f"{len(examples):,} rows are read")
    return examples


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, with their numbers. Raises Unreadable."""
    try:
        for _, number, line in read_lines([path], LONGEST):
            if line.strip():
                yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error, Unreadable) as error:
        raise Unreadable(f"{path}: {error}") from error
