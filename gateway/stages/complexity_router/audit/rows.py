"""Rows of outcomes, as files of evaluations and of shadow pairs hold them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core import wire
from gateway.stages.complexity_router.audit.tiers import Outcomes

MOST: Final = 1_000_000
"""Rows of a file."""

Score = Annotated[float, Meta(ge=0, le=1)]


class Unreadable(ValueError):
    """The file holds something else; the text says where and what."""


class _Row(Struct):
    """`tiers` names scores, cheapest tier first; `pair` is `weak|strong`, of which they are."""

    source: str = ""
    tiers: dict[str, Score] | None = None
    pair: str | None = None
    weak: Score | None = None
    strong: Score | None = None


class Judged(Struct, frozen=True):
    """One request's outcomes, and which set of questions it is of."""

    source: str
    outcomes: Outcomes


def read(lines: Iterable[bytes]) -> Sequence[Judged]:
    """Return the rows with outcomes: those of `tiers`, or where no row has any, those of pairs.

    Rows without outcomes are left out. Raises Unreadable.
    """
    tiers: list[Judged] = []
    pairs: list[Judged] = []
    for number, line in enumerate(lines, 1):
        if number > MOST:
            raise Unreadable(f"more than {MOST:,} lines")
        if not line.strip():
            continue
        row = _decoded(line, number)
        if row.tiers is not None:
            tiers.append(Judged(row.source, row.tiers))
        else:
            pairs += _paired(row, number)
    return tiers or pairs


def tiers_of(rows: Iterable[Judged]) -> Sequence[str]:
    """Return the names of all tiers in the order in which rows name them."""
    return tuple({name: None for row in rows for name in row.outcomes})


def _decoded(line: bytes, number: int) -> _Row:
    try:
        return wire.decode_as(line, _Row)
    except ValueError as error:
        raise Unreadable(f"line {number}: {error}") from error


def _paired(row: _Row, number: int) -> Iterator[Judged]:
    if not row.pair or row.weak is None or row.strong is None:
        return
    weak, bar, strong = row.pair.partition("|")
    if not (weak and bar and strong) or weak == strong:
        raise Unreadable(f"line {number}: `pair` must be two names, weak|strong")
    yield Judged(row.source, {weak: row.weak, strong: row.strong})
