"""Waiting for limits: a line for each that is reached, where one at a time tries, in fair order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct

from gateway.core.exchange import Caller
from gateway.core.fair_queue import FairQueue, Shed
from gateway.core.ports import Clock
from gateway.core.state import SOON, Admitted, Decision, Limit, Rate, Refused, Reserve

MOST: Final = 1_000
"""Requests that wait for one limit in one process; who comes then is refused at once."""

Try = Callable[[], Awaitable[Decision]]


class Patience(Struct, frozen=True):
    """Who waits, for how many tokens, and until when (by the clock's monotonic time)."""

    caller: Caller
    cost: int
    until: float


class Lines:
    """The lines of one stage. Only who is here waits: other processes have lines of their own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.open: dict[str, _Line] = {}
        """By the keys of their limits."""

    def wake(self, limits: Sequence[Limit]) -> None:
        """Note that something of these limits was given back."""
        for limit in limits:
            line = self.open.get(limit.key)
            if line is not None:
                line.wake()

    async def admitted(self, attempt: Try, asked: Reserve, patience: Patience) -> Decision:
        """Return what `attempt` decides, when need be after a wait; a refusal as soon as none fits.

        Nobody overtakes those who wait for one of its limits already.
        """
        decision: Decision | None = None
        key = next((limit.key for limit in asked.limits if limit.key in self.open), "")
        if not key:
            decision = await attempt()
        while decision is None or type(decision) is Refused:
            if decision is not None:
                key = decision.key
            line = self.open.get(key)
            wait = self._wait(key, decision, asked, patience)
            if self._clock.monotonic() + wait > patience.until:
                return decision or _in_vain(asked, key, wait)
            if line is None:
                line = self.open[key] = _Line(self._clock)
            try:
                decision = await self._stand(line, key, attempt, decision, patience)
            except Shed:
                return decision or _in_vain(asked, key, SOON)
            finally:
                if not line.busy and self.open.get(key) is line:
                    del self.open[key]
            if type(decision) is Refused and decision.key == key:
                return decision  # it was the first in its line, and the wait does not fit any more
        return decision

    async def _stand(
        self,
        line: "_Line",
        key: str,
        attempt: Try,
        refused: Refused | None,
        patience: Patience,
    ) -> Decision:
        """Wait to be first in a line, then try until the limit has room. Raises Shed."""
        first = await line.turn(patience)
        try:
            wait = refused.retry_after if refused is not None and first else 0.0
            while True:
                if wait:
                    await line.pause(wait)
                line.begin()
                decision = await attempt()
                if isinstance(decision, Admitted) or decision.key != key:
                    return decision
                wait = decision.retry_after
                if self._clock.monotonic() + wait > patience.until:
                    return decision
        finally:
            line.leave()

    def _wait(self, key: str, refused: Refused | None, asked: Reserve, patience: Patience) -> float:
        """Return how many seconds it will take at least, as far as that can be known."""
        line = self.open.get(key)
        if line is None:
            return refused.retry_after if refused is not None else 0.0
        wait = max(0.0, line.due - self._clock.monotonic())
        for limit, amount in zip(asked.limits, asked.amounts, strict=True):
            if limit.key == key and isinstance(limit, Rate):
                # Each of those ahead takes about as much as this one.
                wait += amount / limit.pace * line.ahead(patience)
        return max(wait, refused.retry_after) if refused is not None else wait


def _in_vain(asked: Reserve, key: str, wait: float) -> Refused:
    """Return the refusal of a request that never had its turn, so nobody knows how limits stand."""
    return Refused(asked.limits, (), 0.0, (), key, wait)


class _Line:
    """Those who wait for one limit. The first of them tries it; the rest wait for their turn."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue = FairQueue(clock, most=MOST, unused=self.leave)
        self._tried = False
        self._stirred = False
        self._pause: asyncio.Future[None] | None = None
        self.due = 0.0
        """When the first of them tries again at the latest."""

    @property
    def busy(self) -> bool:
        """Whether anybody is in it."""
        return self._tried or len(self._queue) > 0

    def ahead(self, patience: Patience) -> float:
        """Return about how many would go before a newcomer."""
        caller = patience.caller
        before = self._queue.ahead(caller.tenant, caller.priority, patience.cost)
        return before + self._tried

    async def turn(self, patience: Patience) -> bool:
        """Wait to be the first; tell whether nobody was there before. Raises Shed."""
        if not self._tried:
            self._tried = True
            return True
        caller = patience.caller
        await self._queue.turn(caller.tenant, caller.priority, patience.cost, patience.until)
        return False

    def leave(self) -> None:
        """Let the next one be the first."""
        self._tried = self._queue.next()

    def begin(self) -> None:
        """Note that what was given back so far is seen by the try that follows."""
        self._stirred = False

    def wake(self) -> None:
        """Let the first one try again."""
        self._stirred = True
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until something was given back since the last try began."""
        if self._stirred:
            return
        self._pause = asyncio.get_running_loop().create_future()
        self.due = self._clock.monotonic() + seconds
        timer = self._clock.after(seconds, self.wake)
        try:
            await self._pause
        finally:
            timer.cancel()
            self._pause = None
