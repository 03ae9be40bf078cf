"""An upstream's response: its head at once, its body as it comes."""

import asyncio
from collections.abc import Mapping
from math import inf
from typing import Final, Protocol

from aiohttp.http_parser import RawResponseMessage

from gateway.core.errors import UpstreamError
from gateway.core.ports import Clock
from gateway.providers.transport.body import NO_BODY, Body, NoBody
from gateway.providers.transport.connection import Connection
from gateway.providers.transport.upstream_errors import broken, timed_out

MAX_WHOLE: Final = 64 << 20
_NONE: Final = [""]


class Release(Protocol):
    """Gives a connection back; only a clean one is used again."""

    def __call__(self, connection: Connection, *, clean: bool) -> None: ...


class Response:
    """A status, headers and a body: read it to its end, or close it.

    `headers` has lower-case names; a value that is not printable ASCII is left out, the last of
    several is kept. `reused` says whether the connection was. The body of a redirect or an upgrade
    is not read: their connection is closed at once.
    """

    __slots__ = (
        "_clock",
        "_connection",
        "_deadline",
        "_error",
        "_headers",
        "_idle",
        "_late",
        "_payload",
        "_release",
        "reused",
        "status",
    )

    def __init__(
        self,
        connection: Connection,
        message: RawResponseMessage,
        release: Release,
        clock: Clock,
        *,
        deadline: float,
        idle: float,
    ) -> None:
        """`idle` bounds the silence between chunks, `deadline` everything."""
        self.status: int = message.code
        self._headers = message.headers
        self.reused: bool = connection.used
        self._connection: Connection | None = connection
        self._payload: Body | NoBody = connection.payload
        self._error: UpstreamError | None = None
        self._release = release
        self._clock = clock
        self._deadline = deadline
        self._late = "upstream_timeout"
        self._idle = idle
        if message.code in (101, 204) or 300 <= message.code < 400:  # noqa: PLR2004 - the 3xx
            self._payload = NO_BODY
            self._connection = None
            release(connection, clean=connection.end() and message.code == 204)  # noqa: PLR2004 - "no content"

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers, by lower-case name."""
        return {
            name.lower(): value
            for name, value in self._headers.items()
            if value.isascii() and value.isprintable()
        }

    def header(self, name: str) -> str:
        """Return what `headers` has under this lower-case name, or an empty string."""
        value = self._headers.getall(name, _NONE)[-1]
        if value.isascii() and value.isprintable():
            return value
        return self.headers.get(name, "")

    def bound(self, deadline: float, late: str = "upstream_timeout") -> None:
        """Let every wait from now on end at `deadline`, with the code `late`."""
        self._deadline, self._late = deadline, late

    async def read(self, limit: int = MAX_WHOLE) -> bytes:
        """Return the whole body; only the deadline bounds the wait. Raises UpstreamError."""
        data = self.take()
        if data is not None and self._connection is None and len(data) <= limit:
            return data  # nearly always: it came with the head, in one piece
        parts: list[bytes] = []
        size = 0
        while data or (data := await self.chunk(inf)):
            parts.append(data)
            size += len(data)
            data = None
            if size > limit:
                self.close()
                raise broken("bad_upstream", "a body over the limit")
        return b"".join(parts)

    async def chunk(self, idle: float | None = None) -> bytes:
        """Return the next bytes, empty at a proper end. Raises UpstreamError.

        `idle` seconds bound the silence before them, in place of the response's own.
        """
        while (data := self.take()) is None:
            try:
                await self.more(idle)
            except asyncio.CancelledError:
                self.close()
                raise
        return data

    def take(self) -> bytes | None:
        """Return what has come in, empty at a proper end, None while there is nothing."""
        if self._connection is None:
            if self._error is not None:
                raise self._error.again()
            return b""
        data = self._payload.take()
        if data is not None and self._payload.at_eof():
            self.close()
        return data

    def more(self, idle: float | None = None) -> "asyncio.Future[None]":
        """Return what is done when there may be more to `take`. Raises what has failed already.

        Who stops waiting for it must `close` the response.
        """
        connection = self._connection
        if connection is None:
            raise self._error.again() if self._error else broken("upstream_reset", "closed by us")
        now = self._clock.monotonic()
        due, late = now + (self._idle if idle is None else idle), "upstream_idle"
        if due > self._deadline:
            due, late = self._deadline, self._late
            if now > due:  # bytes may keep coming faster than a timer rings
                connection.fail(timed_out(late, "bytes kept coming"))
        if connection.error is not None:
            self.close()
            self._error = connection.error
            raise self._error.again()
        return connection.wait(due, late)

    def close(self) -> None:
        """Let go of the connection; if the body has not come in whole, its socket is closed."""
        connection = self._connection
        if connection is None:
            return
        self._connection = None
        if not self._payload.at_eof():
            self._error = broken("upstream_reset", "closed by us")
        self._release(connection, clean=connection.end())
