"""How many tries beyond each request's first a pool of providers is given, so that no storm comes.

In any 10 seconds there are at most 1.10 tries a request plus 30: 20 saved up, one a second, and a
tenth of one a request. Both count at the moment at which they are sent, however long they waited
for a place at their target: a token that was taken and is not spent yet takes its room among the
20, so that no more can come together than were saved up.
"""

from typing import Final

PER_REQUEST: Final = 0.1
PER_SECOND: Final = 1.0
CAP: Final = 20.0
LOW: Final = 8.0
RESTORED: Final = 19.0
HEDGES: Final = 5.0
"""Second requests that may be saved up, counted in the price of first ones."""


class Token:
    """Leave for one try, until it is spent or given back."""

    __slots__ = ("_budget",)

    def __init__(self, budget: "RetryBudget") -> None:
        self._budget: RetryBudget | None = budget

    def spend(self, now: float) -> None:
        """Tell that the try is sent."""
        if self._budget is not None:
            self._budget.release(now, spent=True)
            self._budget = None

    def back(self, now: float) -> None:
        """Tell that there will be no try, if there was none."""
        if self._budget is not None:
            self._budget.release(now, spent=False)
            self._budget = None


class Hedges:
    """What became of second requests. One of whom neither answered is neither won nor lost."""

    __slots__ = ("lost", "micro_dollars", "started", "won")

    def __init__(self) -> None:
        self.started = 0
        self.won = 0
        """The second request answered."""
        self.lost = 0
        """The first one did after all."""
        self.micro_dollars = 0
        """What the losers are taken to have cost, where their price is known."""


class RetryBudget:
    """A token bucket. Every try but a request's first takes a token, hedges too."""

    __slots__ = ("_at", "_level", "_room", "_saved", "granted", "hedges", "low", "refused")

    def __init__(self, now: float) -> None:
        self._level = CAP
        self._room = CAP
        """What fits in beside the tokens that are taken and not spent."""
        self._at = now
        self._saved = 0.0
        """For second requests, in the price of first ones."""
        self.granted = 0
        self.refused = 0
        self.hedges = Hedges()
        self.low = False
        """Whether it is nearly spent, and not yet restored: first tries had better succeed."""

    def deposit(self, now: float) -> None:
        """Count a request, when it is first sent."""
        level, room = self._level + PER_REQUEST + (now - self._at) * PER_SECOND, self._room
        self._level = level if level < room else room  # noqa: FURB136 - `min` costs four times as much
        self._at = now
        if self.low and level >= RESTORED:
            self.low = False

    def take(self, now: float) -> Token | None:
        """Return leave for one more try, None when there is none."""
        level = self._refill(now)
        if level < 1:
            self.refused += 1
            return None
        self._level = level - 1
        self._room -= 1
        self.low = self.low or level < LOW
        self.granted += 1
        return Token(self)

    def release(self, now: float, *, spent: bool) -> None:
        """Take note of what became of a token; `Token` calls it once."""
        level = self._refill(now)
        self._room += 1
        if not spent:
            self._level = level + 1
            self.granted -= 1

    def earn(self, share: float) -> None:
        """Count a request of which `share` may be spent on second requests."""
        self._saved = min(HEDGES, self._saved + share)

    def hedge(self, price: float, now: float) -> Token | None:
        """Return leave for a second request: a token, and its price in first requests."""
        token = None if self._saved < price else self.take(now)
        if token is not None:
            self._saved -= price
            self.hedges.started += 1
        return token

    def level(self, now: float) -> float:
        """Return the tokens that are there."""
        return min(self._room, self._level + (now - self._at) * PER_SECOND)

    def _refill(self, now: float) -> float:
        self._level = self.level(now)
        self._at = now
        return self._level
