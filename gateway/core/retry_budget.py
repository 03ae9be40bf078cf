"""How many tries beyond each request's first a pool of providers is given, so that no storm comes.

In any 10 seconds there are at most 1.10 tries a request plus 30: 20 saved up, one a second, and a
tenth of one a request.
"""

from typing import Final

PER_REQUEST: Final = 0.1
PER_SECOND: Final = 1.0
CAP: Final = 20.0
LOW: Final = 8.0
RESTORED: Final = 19.0
HEDGES: Final = 5.0
"""Second requests that may be saved up, counted in the price of first ones."""


class RetryBudget:
    """A token bucket. Every try but a request's first takes a token, hedges too."""

    __slots__ = ("_at", "_hedges", "_level", "granted", "hedged", "low", "refused")

    def __init__(self, now: float) -> None:
        self._level = CAP
        self._at = now
        self._hedges = 0.0
        self.granted = 0
        self.refused = 0
        self.hedged = 0
        self.low = False
        """Whether it is nearly spent, and not yet restored: first tries had better succeed."""

    def deposit(self, now: float) -> None:
        """Count a request."""
        level = self._level + PER_REQUEST + (now - self._at) * PER_SECOND
        self._level = level if level < CAP else CAP  # noqa: FURB136 - `min` costs four times as much
        self._at = now
        if self.low and level >= RESTORED:
            self.low = False

    def take(self, now: float) -> bool:
        """Take a token for one more try; without one, there is none."""
        level = self.level(now)
        self._at = now
        if level < 1:
            self._level = level
            self.refused += 1
            return False
        self._level = level - 1
        self.low = self.low or level < LOW
        self.granted += 1
        return True

    def give_back(self) -> None:
        """Return a token that no try was made for."""
        self._level = min(CAP, self._level + 1)
        self.granted -= 1

    def earn(self, share: float) -> None:
        """Count a request of which `share` may be spent on second requests."""
        self._hedges = min(HEDGES, self._hedges + share)

    def hedge(self, price: float, now: float) -> bool:
        """Take what a second request takes: a token, and its price in first requests."""
        if self._hedges < price or not self.take(now):
            return False
        self._hedges -= price
        self.hedged += 1
        return True

    def level(self, now: float) -> float:
        """Return the tokens that are there."""
        return min(CAP, self._level + (now - self._at) * PER_SECOND)
