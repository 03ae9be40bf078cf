"""The bootstrap over paired differences: how sure their mean is."""

from collections.abc import Sequence
from math import ceil, floor
from random import Random
from typing import Final

from msgspec import Struct

DRAWS: Final = 2_000
"""Resamples; with them the ends of a 95 % interval rest on 50 of them each."""
SEED: Final = 20_261_121
"""So that equal pairs give equal intervals, on every machine."""
CONFIDENCE: Final = 0.95


class Interval(Struct, frozen=True):
    """The mean of so many paired differences, and what it lies between with 95 % confidence."""

    mean: float
    low: float
    high: float
    pairs: int


def interval(differences: Sequence[float], draws: int = DRAWS, seed: int = SEED) -> Interval:
    """Return the percentile interval. Raises ValueError when there are no differences."""
    means = resampled(differences, draws, seed)
    tail = (1 - CONFIDENCE) / 2 * draws
    count = len(differences)
    # One further out where the tail is no whole number: rather too wide than too narrow.
    low, high = means[floor(tail)], means[ceil(draws - tail) - 1]
    return Interval(sum(differences) / count, low, high, count)


def chance_of_none(differences: Sequence[float], draws: int = DRAWS, seed: int = SEED) -> float:
    """Return the one-sided p that the true mean is not above 0; never 0 itself.

    Raises ValueError when there are no differences.
    """
    means = resampled(differences, draws, seed)
    return (1 + sum(mean <= 0 for mean in means)) / (draws + 1)


def resampled(differences: Sequence[float], draws: int, seed: int) -> Sequence[float]:
    """Return the means of so many resamples, in ascending order."""
    if not differences:
        raise ValueError("there are no pairs")
    chance, count = Random(seed), len(differences)  # noqa: S311 - statistics, and repeatable
    return sorted(sum(chance.choices(differences, k=count)) / count for _ in range(draws))
