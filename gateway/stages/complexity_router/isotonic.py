"""Isotonic regression: what a score has come to, never less for a higher score."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

MOST_KNOTS: Final = 20

Knot = tuple[float, float]
"""A score, and the gain that requests of this score have had."""


def isotonic(scores: Sequence[float], gains: Sequence[float], smallest: int = 1) -> list[Knot]:
    """Return at most `MOST_KNOTS` knots with rising scores and gains, by pooling neighbours.

    The rows are first put into groups of one size, so that a knot stands for `smallest` or more.
    """
    ordered = sorted(zip(scores, gains, strict=True))
    groups = max(1, min(MOST_KNOTS, len(ordered) // smallest))
    pools: list[tuple[float, float, int]] = []
    for number in range(groups):
        part = ordered[number * len(ordered) // groups : (number + 1) * len(ordered) // groups]
        score, gain, size = sum(s for s, _ in part), sum(g for _, g in part), len(part)
        while pools and pools[-1][1] / pools[-1][2] >= gain / size:
            before = pools.pop()
            score, gain, size = score + before[0], gain + before[1], size + before[2]
        pools.append((score, gain, size))
    knots = [(score / size, gain / size) for score, gain, size in pools]
    return [knot for at, knot in enumerate(knots) if not at or knot[0] > knots[at - 1][0]]


def interpolated(knots: Sequence[Knot], score: float) -> float:
    """Return the gain between the two knots around a score, or that of the outermost one."""
    at = bisect_right(knots, score, key=lambda knot: knot[0])
    if at == 0 or at == len(knots):
        return knots[min(at, len(knots) - 1)][1]
    (left, low), (right, high) = knots[at - 1], knots[at]
    return low + (high - low) * (score - left) / (right - left)
