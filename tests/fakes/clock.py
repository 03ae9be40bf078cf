"""A clock that only moves when told to, and wakes sleepers in order."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    def __init__(self, start: float = 1_000.0) -> None:
        self.now = start
        self.stepped = 0.0
        """Seconds by which the wall clock was set off."""
        self._due: list[tuple[float, int, FakeTimer]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now + self.stepped

    def uptime(self) -> float:
        return self.now

    def after(self, seconds: float, callback: Callable[[], None], /) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._due, (self.now + seconds, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float, /) -> None:
        woken = asyncio.get_running_loop().create_future()
        timer = self.after(seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    async def advance(self, seconds: float) -> None:
        """Move time; whoever is due runs, in order, and gets a few turns of the loop."""
        end = self.now + seconds
        await settle()
        while self._due and self._due[0][0] <= end:
            when, _, timer = heapq.heappop(self._due)
            self.now = max(self.now, when)
            if timer.callback is not None:
                timer.callback()
            await settle()
        self.now = end
        await settle()


async def settle(turns: int = 10) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)
