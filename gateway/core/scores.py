"""What is known of a target's speed and success, as numbers that age."""

from math import exp, log, sqrt
from typing import Final

SPEED_AGES: Final = 30.0
"""Seconds in which a measured speed loses half of its weight."""
RECORD_AGES: Final = 600.0
_SOON: Final = 10.0
"""Seconds within which nothing fades."""
ENOUGH: Final = 20
"""First tokens below which their distribution says nothing."""
_CONFIDENCE: Final = 1.96
_UNKNOWN: Final = 1e6
_FINEST: Final = 1e-3
_STEP: Final = log(1.1)
_BUCKETS: Final = 160
"""From 1 ms up to more than an hour, a tenth apart."""
_OFTEN: Final = 4
_OLD: Final = 1024
"""So many first tokens are counted before the older half of their weight is dropped."""


class PeakEwma:
    """A moving average of seconds that jumps up at once and comes down slowly."""

    __slots__ = ("_at", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        """As last measured; 0 when nothing was."""
        self._at = 0.0

    def observe(self, seconds: float, now: float) -> None:
        """Count one first token, or the wait for one that did not come."""
        if seconds >= self.seconds:
            self.seconds = seconds
        else:
            old = SPEED_AGES / (SPEED_AGES + now - self._at)
            self.seconds = self.seconds * old + seconds * (1 - old)
        self._at = now

    def cost(self, outstanding: int, now: float) -> float:
        """Return what one more request would meet there, for comparison.

        A target that nobody uses is forgiven as time passes, and tried again by one request; while
        that one waits, the others go by what was measured last.
        """
        if not outstanding:
            return self.seconds * exp((self._at - now) / SPEED_AGES)
        if not self.seconds:
            return _UNKNOWN + outstanding
        return self.seconds * (outstanding + 1)


class Record:
    """Successes and tries, both fading over ten minutes."""

    __slots__ = ("_at", "good", "tries")

    def __init__(self) -> None:
        self.good = 0.0
        self.tries = 0.0
        self._at = 0.0

    def count(self, now: float, *, good: bool) -> None:
        """Count one try."""
        if now - self._at > _SOON:
            old = exp((self._at - now) / RECORD_AGES)
            self.good *= old
            self.tries *= old
            self._at = now
        self.tries += 1
        if good:
            self.good += 1

    def retract(self) -> None:
        """Uncount a success that was none in the end."""
        self.good = max(0.0, self.good - 1)
        self.tries = max(0.0, self.tries - 1)

    def bound(self) -> float:
        """Return the least share of successes that is likely, 0 when nothing is known."""
        return wilson(self.good, self.tries)


def wilson(good: float, tries: float) -> float:
    """Return the lower bound of Wilson's 95 % interval for `good` successes in `tries`."""
    if tries <= 0:
        return 0.0
    share, z2 = good / tries, _CONFIDENCE**2
    middle = share + z2 / (2 * tries)
    spread = _CONFIDENCE * sqrt(max(0.0, share * (1 - share)) / tries + z2 / (4 * tries**2))
    return max(0.0, (middle - spread) / (1 + z2 / tries))


class FirstTokens:
    """The distribution of a target's times to first token, to within a tenth."""

    __slots__ = ("_counts", "_known", "_total")

    def __init__(self) -> None:
        self._counts = [0.0] * _BUCKETS
        self._total = 0.0
        self._known: dict[float, float] = {}

    def observe(self, seconds: float) -> bool:
        """Count one first token, or how long one was waited for in vain.

        Return whether it is time to look at the quantiles again.
        """
        bucket = int(log(seconds / _FINEST) / _STEP) if seconds > _FINEST else 0
        self._counts[min(bucket, _BUCKETS - 1)] += 1
        self._total += 1
        if self._total >= _OLD:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2
        if self._total < ENOUGH or self._total % _OFTEN >= 1:
            return False
        self._known = {}
        return True

    def quantile(self, share: float) -> float | None:
        """Return the seconds that `share` of all stay below, None while too little is known.

        It may be some first tokens old.
        """
        if self._total < ENOUGH:
            return None
        known = self._known.get(share)
        if known is None:
            known = self._known[share] = self._find(share * self._total)
        return known

    def _find(self, rank: float) -> float:
        seen = 0.0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return float(_FINEST * exp((bucket + 0.5) * _STEP))
        return float(_FINEST * exp(_BUCKETS * _STEP))
