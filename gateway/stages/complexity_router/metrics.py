"""How well a score routes between two models: the metrics that RouteLLM published.

As `routellm/evals/evaluate.py` of lm-sys/RouteLLM (Apache-2.0) computes them: thresholds at the
edges of 10 bins of equal size; at each, the strong model answers what scores at least as much
(at the last, more); the area under score against the strong model's share by trapezoids;

    APGR = (area - weak) / (strong - weak)

where `weak` and `strong` are the mean scores of always asking one model: 0.5 is random, higher is
better. CPT50 is the percentage of requests the strong model must get so that half of the gap is
closed, CPT80 four fifths, interpolated between thresholds. Where the curve is not monotonic the
first crossing counts.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

BINS: Final = 10


class Scored(Struct, frozen=True):
    """One request: what a router makes of it, and how both models did, 0 to 1."""

    score: float
    weak: float
    strong: float


class Routing(Struct, frozen=True):
    """How well requests are routed."""

    apgr: float
    cpt50: float
    """Percent."""
    cpt80: float


class Point(Struct, frozen=True):
    """One threshold."""

    share: float
    """Of requests that the strong model gets, 0 to 1."""
    quality: float


def curve(rows: Sequence[Scored]) -> list[Point]:
    """Return share and quality at each threshold, by rising share."""
    ordered = sorted(rows, key=lambda row: row.score)
    scores = [row.score for row in ordered]
    size = len(rows)
    saved = [0.0]
    for row in ordered:
        saved.append(saved[-1] + row.weak - row.strong)
    always = sum(row.strong for row in rows)
    starts = [bisect_left(scores, quantile(scores, edge / BINS)) for edge in range(BINS)]
    points = [Point(1 - at / size, (always + saved[at]) / size) for at in (*starts, size)]
    return sorted(points, key=lambda point: point.share)


def routing(rows: Sequence[Scored]) -> Routing | None:
    """Return the metrics, or None where the strong model is no better: there is no gap to close."""
    if not rows:
        return None
    weak = sum(row.weak for row in rows) / len(rows)
    gap = sum(row.strong for row in rows) / len(rows) - weak
    if gap <= 0:
        return None
    points = curve(rows)
    area = sum(
        (right.share - left.share) * (left.quality + right.quality) / 2
        for left, right in pairwise(points)
    )
    return Routing(
        (area - weak) / gap,
        _share_for(points, weak + gap / 2),
        _share_for(points, weak + 0.8 * gap),
    )


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return a quantile of ascending values, interpolated between the two around it."""
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _share_for(points: Sequence[Point], quality: float) -> float:
    for left, right in pairwise(points):
        if left.quality <= quality <= right.quality:
            rise = right.quality - left.quality
            part = (quality - left.quality) / rise if rise else 0.0
            return 100 * (left.share + part * (right.share - left.share))
    return 100.0
