"""One alarm clock per connection: setting it anew costs an assignment, not a timer."""

from collections.abc import Callable
from typing import Final

from gateway.core.ports import Clock, Timer

_EARLY: Final = 0.001
"""Timers may ring a hair early; that is not worth another timer."""


class Alarm:
    """Calls one action at one time; the next `set` replaces both.

    The timer behind it is only re-armed when it rings too early or is due too late, so that a
    busy connection makes one timer in many seconds.
    """

    __slots__ = ("_action", "_clock", "_due", "_timer", "_timer_due")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._action: Callable[[], None] | None = None
        self._due = 0.0
        self._timer: Timer | None = None
        self._timer_due = 0.0

    def set(self, due: float, action: Callable[[], None]) -> None:
        """Call `action` at `due` (a `Clock.monotonic()` time), and nothing else before."""
        self._due = due
        self._action = action
        if self._timer is None:
            self._arm()
        elif due < self._timer_due:
            self._timer.cancel()
            self._arm()

    def off(self) -> None:
        """Call nothing. The timer is left to ring into the void."""
        self._action = None

    def close(self) -> None:
        """Call nothing ever again."""
        self._action = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer_due = self._due
        self._timer = self._clock.after(max(0.0, self._due - self._clock.monotonic()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        action = self._action
        if action is None:
            return
        if self._clock.monotonic() + _EARLY < self._due:
            self._arm()
            return
        self._action = None
        action()
