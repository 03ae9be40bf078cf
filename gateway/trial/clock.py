"""Time that passes only when nothing else is left to happen."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from math import inf

from gateway.core.ports import Timer


class _Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class TrialClock:
    """A clock that starts at `wall` (seconds since 1970) and is moved by whoever runs the trial."""

    def __init__(self, wall: float) -> None:
        self._wall = wall
        self.now = 0.0
        self._due: list[tuple[float, int, _Timer]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self._wall + self.now

    def uptime(self) -> float:
        return self.now

    def after(self, seconds: float, callback: Callable[[], None], /) -> Timer:
        timer = _Timer(callback)
        heapq.heappush(self._due, (self.now + seconds, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float, /) -> None:
        woken = asyncio.get_running_loop().create_future()
        timer = self.after(seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def move_on(self, until: float = inf) -> bool:
        """Let time pass until the next thing is due, and let it happen; tell whether one was."""
        while self._due and self._due[0][0] <= until:
            due, _, timer = heapq.heappop(self._due)
            if timer.callback is not None:
                self.now = max(self.now, due)
                timer.callback()
                return True
        return False
