"""The connections of one origin: bounded in number, reused newest first, handed out in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from gateway.core.errors import UpstreamError
from gateway.core.ports import Clock
from gateway.providers.transport.connection import Connection
from gateway.providers.transport.upstream_errors import broken, timed_out

EXCESS_IDLE: Final = 1.0
"""Seconds that a connection beyond the idle ones to keep waits for more work."""


class PoolStats(Struct):
    """How many connections were opened, how often one was reused, and how many there are now."""

    opened: int = 0
    reused: int = 0
    in_use: int = 0
    idle: int = 0


class Pool:
    """Slots for connections. A slot is held from `take` until `release`, whatever happens."""

    def __init__(
        self,
        connect: Callable[[float], Awaitable[Connection]],
        clock: Clock,
        *,
        total: int,
        idle: int,
        keep_idle: float,
    ) -> None:
        """`connect` opens a connection before the given deadline."""
        self._connect = connect
        self._clock = clock
        self._total = total
        self._most_idle = idle
        self._keep_idle = keep_idle
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._emptied: asyncio.Future[None] | None = None
        self.stats = PoolStats()

    def take_idle(self) -> Connection | None:
        """Return an idle connection in a slot of its own, or None when there is none."""
        stats = self.stats
        while self._idle:
            connection = self._idle.pop()
            stats.idle -= 1
            if connection.usable:
                stats.in_use += 1
                stats.reused += 1
                return connection
        return None

    async def take(self, deadline: float) -> Connection:
        """Return a connection in a slot of its own, once one is free. Raises UpstreamError."""
        if self._emptied is not None:
            raise broken("upstream_reset", "the transport is closed")
        handed = None
        if self.stats.in_use < self._total:
            self.stats.in_use += 1
        else:
            handed = await self._queue(deadline)
        if handed is None or not handed.usable:
            return await self.open_in_slot(deadline)
        self.stats.reused += 1
        return handed

    async def replace(self, dead: Connection, deadline: float) -> Connection:
        """Return a fresh connection in the slot of a dead one."""
        dead.abort()
        return await self.open_in_slot(deadline)

    async def open_in_slot(self, deadline: float) -> Connection:
        """Open a connection in a slot that is already held; a failure frees it."""
        try:
            connection = await self._connect(deadline)
        except BaseException:
            self._free()
            raise
        self.stats.opened += 1
        if connection.connected:
            self._open.add(connection)
        if self._emptied is not None:
            self.release(connection, clean=False)
            raise broken("upstream_reset", "the transport is closed")
        return connection

    def release(self, connection: Connection, *, clean: bool) -> None:
        """Give the slot back, with its connection if that is clean, to the longest waiter first."""
        if not clean or self._emptied is not None:
            connection.abort()
            self._free()
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        self.stats.in_use -= 1
        # Under load the next request is near: closing what is idle for a moment costs a handshake.
        connection.park(self._keep_idle if len(self._idle) < self._most_idle else EXCESS_IDLE)
        self._idle.append(connection)
        self.stats.idle += 1

    async def warm(self, wanted: int, deadline: float) -> None:
        """Open connections until that many are idle. Raises the first failure, keeping the rest."""
        free = self._total - self.stats.in_use - self.stats.idle
        missing = min(wanted, self._most_idle) - self.stats.idle
        count = max(0, min(missing, free))
        self.stats.in_use += count
        tried = await asyncio.gather(
            *(self._open_idle(deadline) for _ in range(count)), return_exceptions=True
        )
        for outcome in tried:
            if outcome is not None:
                raise outcome

    def lost(self, connection: Connection) -> None:
        """Forget a connection whose socket is closed."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            self.stats.idle -= 1
        if self._emptied is not None and not self._open and not self._emptied.done():
            self._emptied.set_result(None)

    async def aclose(self) -> None:
        """Close every socket and end every wait."""
        if self._emptied is None:
            self._emptied = asyncio.get_running_loop().create_future()
        gone = broken("upstream_reset", "the transport is closed")
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(gone)
        for connection in list(self._open):
            connection.fail(gone)
        if self._open:
            await self._emptied

    async def _open_idle(self, deadline: float) -> None:
        self.release(await self.open_in_slot(deadline), clean=True)

    async def _queue(self, deadline: float) -> Connection | None:
        """Wait for a slot in order of arrival; it may come with a connection."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        timer = self._clock.after(
            max(0.0, deadline - self._clock.monotonic()),
            lambda: _refuse(waiter, timed_out("upstream_pool_timeout")),
        )
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise
        finally:
            timer.cancel()

    def _pass_on(self, handed: Connection | None) -> None:
        if handed is None:
            self._free()
        else:
            self.release(handed, clean=handed.usable)

    def _free(self) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self.stats.in_use -= 1
        else:
            waiter.set_result(None)

    def _next_waiter(self) -> "asyncio.Future[Connection | None] | None":
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None


def _refuse(waiter: "asyncio.Future[Connection | None]", error: UpstreamError) -> None:
    if not waiter.done():
        waiter.set_exception(error)
