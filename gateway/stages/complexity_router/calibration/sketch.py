"""How scores are distributed: a histogram of fixed bins, which merges by addition.

Scores lie between 0 and 1, or are brought there, so bins need no agreement: those of two processes,
or of two hours, are added cell by cell, in any order, and the result is the histogram of all. A
t-digest or P2 would follow the tails of an unbounded quantity, and merges only roughly or not at
all.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Final

BINS: Final = 2_048
"""Of equal width: enough where all scores lie in a small part of what they could be.

Scores of one bin are told apart by chance alone."""


def bin_of(score: float) -> int:
    """Return the bin of a score; what is beyond 0 or 1 counts as that.

    Raises ValueError for what is no number.
    """
    return min(max(int(score * BINS), 0), BINS - 1) if abs(score) < BINS else _beyond(score)


def _beyond(score: float) -> int:
    if score != score:  # noqa: PLR0124 - only NaN differs from itself
        raise ValueError("a score must be a number")
    return 0 if score < 0 else BINS - 1


class Sketch:
    """The distribution of some scores, with places in it that tell equal scores apart.

    A place is a bin's number plus how far into it, from 0 to BINS. A score's place is its bin and
    a chance number, so a threshold in the middle of a bin divides even equal scores as it says.
    """

    __slots__ = ("_below", "_counts", "total")

    def __init__(self, cells: Mapping[int, int]) -> None:
        """Take counts by bin; other cells are not looked at."""
        self._counts = [cells.get(number, 0) for number in range(BINS)]
        self._below = [0, *accumulate(self._counts)]
        self.total = self._below[-1]
        """How many scores it is made of."""

    def below(self, place: float) -> float:
        """Return the share of scores that lie below a place. Raises ValueError without scores."""
        if not self.total:
            raise ValueError("there are no scores")
        number = min(int(place), BINS - 1)
        inside = (place - number) * self._counts[number]
        return (self._below[number] + inside) / self.total

    def place(self, share: float) -> float:
        """Return a place that this share of scores lies below.

        Nothing ever lies below that of 0, or above that of 1. Raises ValueError without scores.
        """
        if not self.total:
            raise ValueError("there are no scores")
        if not 0 < share < 1:
            return float(BINS) if share >= 1 else 0.0
        rank = share * self.total
        number = bisect_right(self._below, rank) - 1
        return number + (rank - self._below[number]) / self._counts[number]
