"""A mixture of tiers by score beside the lowest tier alone, with and without dominated tiers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.stages.complexity_router.audit.bootstrap import Interval, interval
from gateway.stages.complexity_router.audit.tiers import audit
from gateway.stages.complexity_router.calibration.targets import without
from loadtest.calibration.shares import Score

SHARES: Final = (0.6, 0.3, 0.1)


class Row(Struct):
    """What is read of a row."""

    prompt: str
    tiers: Mapping[str, float] | None = None


class Found(Struct, frozen=True):
    """A mixture's mean score, and how it differs from the lowest tier's on the same requests."""

    shares: Sequence[float]
    mean: float
    over_lowest: Interval


def read(path: Path) -> Sequence[Row]:
    """Return the rows with an outcome of every tier. Raises ValueError without any."""
    decoder = wire.decoder(Row)
    with path.open("rb") as lines:
        rows = [row for row in map(decoder.decode, lines) if row.tiers]
    if not rows:
        raise ValueError(f"{path} has no rows with `tiers`")
    return rows


def measure(rows: Sequence[Row], score: Score, shares: Sequence[float]) -> Found:
    """Give each tier its share of the rows, the highest scores to the highest tier."""
    mixed = list(rows)
    Random(1).shuffle(mixed)  # equal scores in no order
    mixed.sort(key=lambda row: score(row.prompt))
    ends = [round(end * len(mixed)) for end in accumulate(shares)][:-1]
    got, differences = [], []
    for rank, row in enumerate(mixed):
        outcomes = tuple((row.tiers or {}).values())
        got.append(outcomes[sum(rank >= end for end in ends)])
        differences.append(got[-1] - outcomes[0])
    return Found(shares, fmean(got), interval(differences))


def report(rows: Sequence[Row], score: Score) -> Iterator[str]:
    """Yield what each tier and both mixtures come to."""
    outcomes = [row.tiers for row in rows if row.tiers]
    tiers = tuple(outcomes[0])
    dominated = audit(outcomes, tiers).dominated
    for tier in tiers:
        note = ", dominated" if tier in dominated else ""
        yield f"always {tier}: {fmean(each[tier] for each in outcomes):.1%}{note}"
    skipped = [number for number, tier in enumerate(tiers) if tier in dominated]
    for name, shares in (("all tiers", SHARES), ("dominated skipped", without(SHARES, skipped))):
        found = measure(rows, score, shares)
        over = found.over_lowest
        yield (
            f"{' / '.join(f'{share:.0%}' for share in shares)} ({name}): {found.mean:.1%}, "
            f"{100 * over.mean:+.1f} points over always {tiers[0]} "
            f"({100 * over.low:+.1f} to {100 * over.high:+.1f})"
        )
