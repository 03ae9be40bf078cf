"""A circuit breaker: when to leave a target alone, and when to try it again."""

from random import Random
from typing import Final, Literal

WINDOW: Final = 10
"""Seconds that are looked back at."""
MINIMUM: Final = 20
"""Outcomes below which nothing is concluded, and failures in a row that say it at once."""
PROBATION: Final = 5
"""Outcomes that are enough in the first 10 seconds after it has closed again."""
RATIO: Final = 0.5
FAILING: Final = 0.2
FIRST_OPEN: Final = 5.0
LONGEST_OPEN: Final = 300.0
JITTER: Final = 0.1
FORGIVEN: Final = 60.0
"""Seconds of closed life after which an outage counts as the first again."""

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Opens on failures, lets one probe through when its time is over, and closes on its success.

    It opens when at least half of at least 20 outcomes of the last 10 seconds are failures, or
    when 20 in a row are; right after it has closed, half of 5 are enough. It stays open for 5
    seconds, twice as long each time, at most 300. All times are `Clock.monotonic()` seconds;
    outcomes that were begun while it was closed and end while it is open change nothing.
    """

    __slots__ = (
        *("_bad", "_closed_at", "_good", "_in_a_row", "_open_for", "_probing", "_random", "_slot"),
        *("_soonest", "closed", "down", "openings", "until"),
    )

    def __init__(self, random: Random) -> None:
        self.closed = True
        self.down = False
        """Open, and nothing comes through: the last 20 outcomes were failures."""
        self.until = 0.0
        """When the probe is due, if it is open."""
        self.openings = 0
        self._random = random
        self._good = [0] * WINDOW
        self._bad = [0.0] * WINDOW
        self._slot = 0
        self._in_a_row = 0.0
        self._open_for = 0.0
        self._closed_at = 0.0
        self._soonest = 0.0
        self._probing = False

    def state(self, now: float) -> State:
        """Return `half_open` once a probe is due or under way."""
        if self.closed:
            return "closed"
        return "half_open" if self._probing or now >= self.until else "open"

    def failing(self) -> bool:
        """Whether a fifth of what it met lately are failures, be it too few to open it."""
        bad = sum(self._bad)
        return bad >= PROBATION and bad >= FAILING * (bad + sum(self._good))

    def admits(self, now: float) -> bool:
        """Whether a request may go there; of those that a probe is due for, only one."""
        return self.closed or (now >= self.until and not self._probing)

    def hasten(self) -> None:
        """Have the probe 5 seconds after it opened, since a request has nowhere else to go."""
        self.until = min(self.until, self._soonest)

    def enter(self, now: float) -> bool:
        """Begin a request; return whether it is the probe, whose end must be told as such."""
        if self.closed or self._probing or now < self.until:
            return False
        self._probing = True
        return True

    def succeeded(self, now: float, *, probe: bool = False) -> None:
        """Count an answer."""
        self._in_a_row = 0.0
        if self.closed:
            slot = int(now)
            if slot != self._slot:
                self._move(slot)
            self._good[slot % WINDOW] += 1
            return
        self.down = False
        if probe:
            self._probing = False
            self.closed, self._closed_at = True, now
            self._forget()

    def failed(self, now: float, weight: float = 1.0, *, probe: bool = False) -> None:
        """Count a failure, in part where it is not sure whose fault it is."""
        self._in_a_row += weight
        hopeless = self._in_a_row >= MINIMUM
        if probe:
            self._probing = False
            self._open(now, down=hopeless or self.down)
            return
        if not self.closed:
            self.down = self.down or hopeless
            return
        slot = int(now)
        if slot != self._slot:
            self._move(slot)
        self._bad[slot % WINDOW] += weight
        bad = sum(self._bad)
        volume = bad + sum(self._good)
        proven = not self.openings or now - self._closed_at >= WINDOW
        enough = MINIMUM if proven else PROBATION
        if hopeless or (volume >= enough and bad >= RATIO * volume):
            self._open(now, down=hopeless)

    def retract(self, now: float, counted: float) -> None:
        """Uncount an answer that was counted at that time and broke since: `failed` follows."""
        slot = int(counted)
        kept = self.closed and counted > self._closed_at and int(now) - slot < WINDOW
        if kept and self._good[slot % WINDOW]:
            self._good[slot % WINDOW] -= 1

    def heed(self, now: float, seconds: float, *, down: bool) -> None:
        """Open for so long because another process did; what is open here stays so at least."""
        if self._probing:
            return
        self._open_for = max(self._open_for, min(seconds, LONGEST_OPEN))
        self.until = max(now + seconds, 0.0 if self.closed else self.until)
        self._soonest = now + min(seconds, FIRST_OPEN)
        self.down = down or (self.down and not self.closed)
        self.closed = False

    def shown_well(self) -> None:
        """Close, for what it was opened for is known to be mended."""
        self.closed, self.down, self._probing = True, False, False
        self._forget()

    @property
    def last_was_good(self) -> bool:
        """Whether no failure came since the last answer."""
        return not self._in_a_row

    def released(self) -> None:
        """End a probe that showed nothing, such as one whose caller left."""
        self._probing = False

    def trip(self, now: float) -> None:
        """Open at once, whatever went before. What is open already stays so until its probe."""
        if self.closed or now >= self.until:
            self._probing = False
            self._open(now, down=True)

    def _open(self, now: float, *, down: bool) -> None:
        calm = self.closed and now - self._closed_at >= max(FORGIVEN, self._open_for)
        first = calm or not self._open_for
        self._open_for = FIRST_OPEN if first else min(LONGEST_OPEN, 2 * self._open_for)
        self.closed, self.down = False, down
        jitter = self._random.uniform(1 - JITTER, 1 + JITTER)
        self.until = now + self._open_for * jitter
        self._soonest = now + FIRST_OPEN * jitter
        self.openings += 1

    def _move(self, slot: int) -> None:
        """Empty the seconds that have passed since the last outcome."""
        for passed in range(max(self._slot + 1, slot - WINDOW + 1), slot + 1):
            self._good[passed % WINDOW] = 0
            self._bad[passed % WINDOW] = 0.0
        self._slot = slot

    def _forget(self) -> None:
        self._good = [0] * WINDOW
        self._bad = [0.0] * WINDOW
        self._in_a_row = 0.0
