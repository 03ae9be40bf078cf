"""Waiting in a simulated provider: for room to work, and for the next token to be due."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from math import inf

from msgspec import Struct

from gateway.core.errors import StreamCut
from gateway.core.ports import Clock
from gateway.core.reply import Block, Tally, Usage
from gateway.providers.simulated.laws import Served
from gateway.providers.transport.upstream_errors import broken, timed_out


class Room:
    """Places to work in; who finds none waits, first come first served. None: endless room."""

    def __init__(self, places: int | None, clock: Clock) -> None:
        self._free = inf if places is None else float(places)
        self._clock = clock
        self._queue: deque[asyncio.Future[None]] = deque()

    async def enter(self, limit: float, late: str) -> None:
        """Take a place. Raises UpstreamTimeout (code `late`) when the clock shows `limit`."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def give_up() -> None:
            if not turn.done():
                turn.set_exception(timed_out(late, "simulated queue"))

        timer = self._clock.after(limit - self._clock.monotonic(), give_up)
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # the place came together with the cancellation
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """Give the place to the next in line."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


async def wait_until(clock: Clock, due: float, limit: float, late: str) -> None:
    """Sleep until `due`; raise UpstreamTimeout (code `late`) at `limit` if that comes first."""
    pause = min(due, limit) - clock.monotonic()
    if pause > 0:
        await clock.sleep(pause)
    if due > limit:
        raise timed_out(late, "simulated delay")


class Waiting(Struct, frozen=True):
    """How long a stream may take: until `deadline`, and `patience` seconds a token.

    The first token may have a deadline of its own.
    """

    clock: Clock
    deadline: float
    patience: float
    first_token_by: float | None = None


class PacedBlocks:
    """Blocks that come when they are due, however slow the reader. Closing frees the place.

    `blocks` has one block a token and one that ends the stream; `end` is the tally by then.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        fate: Served,
        waiting: Waiting,
        end: tuple[Usage, str],
        leave: Callable[[], None],
    ) -> None:
        self.tally = Tally()
        self._blocks = blocks
        self._fate = fate
        self._waiting = waiting
        self._due = waiting.clock.monotonic()
        self._token = 0
        self._usage, self._finish = end
        self._leave = leave
        self._first: Block | None = None
        self._open = True

    def __aiter__(self) -> "PacedBlocks":
        return self

    async def prime(self) -> None:
        """Wait for the first token. Raises UpstreamError when it never comes."""
        self._first = await self._next()

    async def __anext__(self) -> Block:
        block, self._first = self._first, None
        if block is None:
            block = await self._next()
        self.tally.blocks += 1
        self.tally.size += len(block)
        return block

    async def aclose(self) -> None:
        self._first = None
        self._end()

    async def _next(self) -> Block:
        if not self._open:
            raise StopAsyncIteration
        try:
            if self._token == len(self._fate.pauses):
                return self._last()
            await self._wait()
        except BaseException:
            self._end()
            raise
        if not self._open:  # closed while we slept
            raise StopAsyncIteration
        self._token += 1
        return next(self._blocks)

    async def _wait(self) -> None:
        clock, deadline = self._waiting.clock, self._waiting.deadline
        self._due += self._fate.pauses[self._token]
        limit = min(deadline, clock.monotonic() + self._waiting.patience)
        if not self._token and self._waiting.first_token_by is not None:
            limit = min(limit, self._waiting.first_token_by)
        late = "upstream_idle" if self._token else "upstream_first_byte_timeout"
        await wait_until(clock, self._due, limit, "upstream_timeout" if limit == deadline else late)
        if self._token == self._fate.reset_at:
            error = broken("upstream_reset", "simulated reset")
            raise StreamCut(error.public, detail=error.detail) if self._token else error

    def _last(self) -> Block:
        self.tally.usage, self.tally.finish, self.tally.clean = self._usage, self._finish, True
        self._end()
        return next(self._blocks)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._leave()
