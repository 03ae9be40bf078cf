"""Watches whether tiers get the share that they were meant to get."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

RUN: Final = 500
"""Requests for which shares must be off before there is an alarm."""
WINDOW: Final = 250
"""Requests over which shares are taken: fewer, so that a burst is gone before RUN is over."""
TOLERANCE: Final = 0.05


class Drift(Struct, frozen=True):
    """A tier's share left what was wanted, or returned to it."""

    tier: int
    wanted: float
    realised: float
    over: bool = False
    """It returned."""


class Guard:
    """Follows the tiers of one route's requests, as this process decides them."""

    __slots__ = ("_counts", "_last", "_run", "_seen", "alarm")

    def __init__(self, tiers: int) -> None:
        """Watch so many tiers, 256 at most."""
        self.alarm: Drift | None = None
        """What was last told, while it is not over."""
        self._last = bytearray(WINDOW)
        self._counts = [0] * tiers
        self._seen = 0
        self._run = 0

    def observe(self, tier: int, wanted: Sequence[float]) -> Drift | None:
        """Count a request, and return what is news: an alarm, or its end.

        Both need the realised shares, over the last WINDOW requests, to be outside of TOLERANCE, or
        inside, for RUN requests in a row: chance alone seldom keeps them there for so long.
        """
        slot = self._seen % WINDOW
        if self._seen >= WINDOW:
            self._counts[self._last[slot]] -= 1
        self._last[slot] = tier
        self._counts[tier] += 1
        self._seen += 1
        if self._seen < WINDOW:
            return None
        worst = max(range(len(wanted)), key=lambda each: abs(self.realised(each) - wanted[each]))
        found = Drift(worst, wanted[worst], self.realised(worst))
        outside = abs(found.realised - found.wanted) > TOLERANCE
        self._run = self._run + 1 if outside is (self.alarm is None) else 0
        if self._run < RUN:
            return None
        self._run = 0
        if self.alarm is None:
            self.alarm = found
            return found
        tier, self.alarm = self.alarm.tier, None
        return Drift(tier, wanted[tier], self.realised(tier), over=True)

    def realised(self, tier: int) -> float:
        """Return a tier's share of the last WINDOW requests, or of all while there are fewer."""
        return self._counts[tier] / max(1, min(self._seen, WINDOW))
