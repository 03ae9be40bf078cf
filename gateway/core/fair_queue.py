"""A bounded queue to wait in, served in fair order (see `fair_order`)."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.exchange import Priority
from gateway.core.fair_order import Entry, FairOrder


class Timer(Protocol):
    """A callback that has not run yet."""

    def cancel(self) -> None: ...


class Time(Protocol):
    """What is needed of `ports.Clock`, which stands above this file."""

    def monotonic(self) -> float: ...
    def after(self, seconds: float, callback: Callable[[], None], /) -> Timer: ...


class Shed(Exception):
    """Not let through: there was no room, or its latest moment came (`late`)."""

    def __init__(self, *, late: bool) -> None:
        super().__init__("waited too long" if late else "the queue is full")
        self.late = late


class FairQueue:
    """Holds at most `most` entries. Whoever has something to give calls `next`.

    `unused` is called when a turn was given to one who was cancelled before it could use it.
    """

    def __init__(
        self, clock: Time, *, most: int, unused: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._most = most
        self._unused = unused
        self._order = FairOrder()
        self.turns: dict[int, tuple[asyncio.Future[None], float]] = {}
        """Who waits, with the latest moment of each: for others to see whether it is empty."""

    def __len__(self) -> int:
        return len(self._order)

    def ahead(self, tenant: str, priority: Priority, cost: int) -> float:
        """Return about how many would be let through before a newcomer."""
        return self._order.ahead(Entry(tenant, priority, cost))

    async def turn(self, tenant: str, priority: Priority, cost: int, until: float) -> None:
        """Wait to be let through, at the latest `until` (by the clock). Raises Shed.

        `cost` is in tokens. One who is cancelled leaves at once.
        """
        entry = Entry(tenant, priority, cost)
        self._make_room(entry)
        self._order.add(entry)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.turns[entry.number] = turn, until
        left = until - self._clock.monotonic()
        timer = self._clock.after(left, lambda: self._shed(entry, late=True))
        try:
            await turn
        except asyncio.CancelledError:
            if self.turns.pop(entry.number, None) is not None:
                self._order.drop(entry)
            elif not turn.cancelled() and turn.exception() is None:
                self._unused()
            raise
        finally:
            timer.cancel()

    def next(self) -> bool:
        """Let the next one through; return False when nobody waits any more."""
        now = self._clock.monotonic()
        while (entry := self._order.take()) is not None:
            turn, until = self.turns.pop(entry.number)
            if turn.done():  # cancelled, and yet to hear of it
                continue
            if until > now:
                turn.set_result(None)
                return True
            turn.set_exception(Shed(late=True))
        return False

    def _make_room(self, newcomer: Entry) -> None:
        if len(self._order) < self._most:
            return
        victim = self._order.victim(newcomer) if len(self._order) else None
        if victim is None:
            raise Shed(late=False)
        self._shed(victim, late=False)

    def _shed(self, entry: Entry, *, late: bool) -> None:
        waiting = self.turns.pop(entry.number, None)
        if waiting is None:
            return
        self._order.drop(entry)
        turn, _ = waiting
        if not turn.done():
            turn.set_exception(Shed(late=late))
