"""Which tiers earn their price, by requests that several of them answered."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from gateway.stages.complexity_router.audit.bootstrap import Interval, interval

FEWEST: Final = 100
"""Pairs below which nothing is proven: fewer equal outcomes would make an interval of no width."""

Outcomes: TypeAlias = Mapping[str, float]
"""The score, from 0 to 1, that each of some tiers had for one request."""
Verdict: TypeAlias = Literal["dominated", "unproven", "better"]


class Comparison(Struct, frozen=True):
    """A tier beside the next cheaper one; the difference is the dearer's score less the other's."""

    cheaper: str
    dearer: str
    verdict: Verdict
    pairs: int
    difference: Interval | None
    """None without a single pair."""


class Audit(Struct, frozen=True):
    """All comparisons, and the tiers that cost more without being better."""

    comparisons: Sequence[Comparison]
    dominated: Sequence[str]


def audit(rows: Sequence[Outcomes], tiers: Sequence[str]) -> Audit:
    """Compare neighbours among `tiers`, which are in the order of their price.

    A tier beyond a dominated one is also compared with the tier below that: without the dominated
    one they are neighbours, and it has to be better than this neighbour too.
    """
    found = [compare(rows, *pair) for pair in pairwise(tiers)]
    dominated: list[str] = []
    below = tiers[0] if tiers else ""
    for each in tuple(found):
        last = each if each.cheaper == below else compare(rows, below, each.dearer)
        if last is not each:
            found.append(last)
        if last.verdict == "dominated":
            dominated.append(last.dearer)
        else:
            below = last.dearer
    return Audit(found, dominated)


def compare(rows: Sequence[Outcomes], cheaper: str, dearer: str) -> Comparison:
    """Compare two tiers by the requests that both of them answered."""
    differences = list(_differences(rows, cheaper, dearer))
    if not differences:
        return Comparison(cheaper, dearer, "unproven", 0, None)
    found = interval(differences)
    return Comparison(cheaper, dearer, verdict(found), found.pairs, found)


def verdict(found: Interval) -> Verdict:
    """Return what an interval proves: at or below 0, or above it, as a whole; else nothing."""
    if found.pairs >= FEWEST and found.high <= 0:
        return "dominated"
    if found.pairs >= FEWEST and found.low > 0:
        return "better"
    return "unproven"


def _differences(rows: Sequence[Outcomes], cheaper: str, dearer: str) -> Iterator[float]:
    for row in rows:
        if cheaper in row and dearer in row:
            yield row[dearer] - row[cheaper]
