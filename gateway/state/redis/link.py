"""One connection to Redis on which those who call together share a round trip.

Only the link's own task touches the connection, so a caller that leaves cannot leave a reply behind
for the next one. After a timeout, an error or a cancel it is closed and never used again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from msgspec import Struct
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from gateway.core.ports import Clock, Timer
from gateway.state.redis.scripts import ALL, Script

LINGER: Final = 0.02
"""Seconds for which what nobody waits for may wait to share a round trip."""
BATCH: Final = 200
"""Calls in one round trip at most, so that the first is answered in time."""
BYTES: Final = "surrogateescape"
"""How an answer that is not text becomes one, and bytes again."""
PASSING: Final = (
    *("NOSCRIPT", "LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "BUSY", "NOAUTH"),
    *("NOPERM", "NOREPLICAS"),
)
"""Errors that say how the server is, not what is wrong with the call."""

Word: TypeAlias = str | bytes | int | float


class Unreachable(Exception):
    """No answer. `sent` tells that the call was on its way, so it may have been carried out."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Rejected(Exception):
    """The server answered that this call makes no sense to it."""


Answer: TypeAlias = str | Unreachable | Rejected
Done: TypeAlias = Callable[[Answer], object]


class _Call(Struct):
    words: tuple[Word, ...]
    done: Done


class Link:
    """Calls scripts. Only `connect` connects: without a connection a call fails at once."""

    def __init__(
        self,
        url: str,
        prefix: str,
        timeout: float,
        connect_timeout: float,
        clock: Clock,
        *,
        scripts: Sequence[Script] = ALL,
    ) -> None:
        """`url` is redis://, rediss:// or unix://; both timeouts are in seconds."""
        self._pool = ConnectionPool.from_url(url, protocol=2, driver_info=None)
        self.epoch = ""
        """The store's life that calls are meant for; in another one they do nothing."""
        self._prefix = prefix
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._clock = clock
        self._scripts = scripts
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Call] = []
        self._timer: Timer | None = None
        self._wake = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether calls can be sent."""
        return self._connection is not None

    async def connect(self) -> None:
        """Connect and load the scripts. Raises Unreachable."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # no types there
        # Its own timeouts go through wait_for, which can swallow a cancel; ours are around it.
        connection.socket_timeout = connection.socket_connect_timeout = None
        try:
            async with asyncio.timeout(self._connect_timeout):
                await connection.connect()  # type: ignore[no-untyped-call]  # no types there
                for script in self._scripts:
                    await connection.send_command("SCRIPT", "LOAD", script.text)
                    await connection.read_response()
        except (RedisError, OSError, TimeoutError) as error:
            await _close(connection)
            raise Unreachable(_reason(error), sent=False) from error
        except asyncio.CancelledError:
            await _close(connection)
            raise
        self._connection = connection

    async def ask(self, script: Script, *words: Word) -> str:
        """Run a script and return what it tells. Raises Unreachable or Rejected."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def done(answer: Answer) -> None:
            if future.done():
                return
            if isinstance(answer, str):
                future.set_result(answer)
            else:
                future.set_exception(answer)

        self._queue(script, words, done)
        self.hand_over()
        return await future

    def put(self, script: Script, *words: Word, done: Done) -> None:
        """Run a script soon, after what was called before, and pass on what it tells."""
        self._queue(script, words, done)
        if self._timer is None:
            self._timer = self._clock.after(LINGER, self.hand_over)

    async def work(self) -> None:
        """Carry calls to the server until cancelled; then the connection is closed."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._carry()
        finally:
            await self._drop(Unreachable("the gateway is stopping", sent=False))

    def _queue(self, script: Script, words: tuple[Word, ...], done: Done) -> None:
        epoch_key = self._prefix + "epoch"
        called = ("EVALSHA", script.digest, 1, epoch_key, self._prefix, self.epoch, *words)
        self._waiting.append(_Call(called, done))

    def hand_over(self) -> None:
        """Have carried what was put so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake.set()

    async def _carry(self) -> None:
        """Make one round trip; when it fails, whoever waits meanwhile is told at once too."""
        connection = self._connection
        if connection is None:
            await self._drop(Unreachable("not connected", sent=False))
            return
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        answered = 0
        try:
            async with asyncio.timeout(self._timeout):
                packed = connection.pack_commands([call.words for call in batch])
                await connection.send_packed_command(packed, check_health=False)
                for call in batch:
                    call.done(await _read(connection))
                    answered += 1
        except (RedisError, OSError, TimeoutError) as error:
            failed = Unreachable(_reason(error), sent=True)
            for call in batch[answered:]:
                call.done(failed)
            await self._drop(Unreachable(_reason(error), sent=False))
        except asyncio.CancelledError:
            for call in batch[answered:]:
                call.done(Unreachable("the gateway is stopping", sent=True))
            raise

    async def _drop(self, reason: Unreachable) -> None:
        """Close the connection and tell everybody who waits for it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _close(connection)
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.done(reason)


async def _read(connection: AbstractConnection) -> str | Rejected:
    try:
        answer = await connection.read_response()
    except ResponseError as error:
        if str(error).startswith(PASSING) or type(error) is not ResponseError:
            raise
        return Rejected(str(error))
    return answer.decode(errors=BYTES) if isinstance(answer, bytes) else str(answer)


async def _close(connection: AbstractConnection) -> None:
    with suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)


def _reason(error: Exception) -> str:
    return str(error) or "no answer in time"
