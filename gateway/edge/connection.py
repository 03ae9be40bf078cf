"""One client connection: aiohttp's request handler with our own deadline for every phase.

A connection may be silent for `first_request`, then has `header` seconds from the first byte to
the last header, `body_grace` seconds for every thousand body bytes, the request's own deadline
while it is served, `write_stall` seconds to take something of what was written, and `idle` seconds
until its next request. A client that closes its sending side has left: half-close means cancel.
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo

from gateway.core.errors import (
    BadRequest,
    CallerError,
    ClientTooSlow,
    HeadersTooLarge,
)
from gateway.core.ports import Clock
from gateway.edge.alarm import Alarm
from gateway.settings import Limits

Answered: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

MIN_BODY_RATE: Final = 100
"""Bytes per second that a body must keep up over each `body_grace` seconds."""
_FRAMING: Final = 16 << 10
"""Bytes that chunked framing may take beyond the bytes that it frames."""
_LINGER: Final = 2.0
_FULL_BODY: Final = (
    b'{"error":{"message":"Too many connections. Try again soon.","type":"server_error",'
    b'"param":null,"code":"overloaded","request_id":null}}'
)
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_FULL_BODY), _FULL_BODY)
)


class BadFraming(BadRequest):
    """400: where this request ends is not certain, so nothing after it is read."""

    code = "bad_http"


class Door(Protocol):
    """What a connection needs of its server."""

    clock: Clock
    limits: Limits
    capacity: int
    connections_open: "set[Connection]"

    def unreadable(self, error: CallerError) -> Answered:
        """Return what answers a request that could not be read."""
        ...


class Connection(web.RequestHandler):
    """A client's connection."""

    __slots__ = (
        "_alarm",
        "_body",
        "_body_seen",
        "_deaf",
        "_door",
        "_framed",
        "_gone",
        "_head",
        "_refused",
        "_stall",
        "_unsent",
    )

    def __init__(self, door: Door, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None is what turns it off
            keepalive_timeout=0,
            lingering_time=0,
            auto_decompress=False,
        )
        self._door = door
        self._alarm = Alarm(door.clock)
        self._stall = Alarm(door.clock)
        self._head = 0
        self._body: StreamReader = EMPTY_PAYLOAD
        self._body_seen = 0
        self._framed = 0
        self._deaf = False
        self._refused = False
        self._gone: asyncio.Future[None] | None = None
        self._unsent = 0

    @property
    def alarm(self) -> Alarm:
        """The clock that the request being served may set; it is ours between requests."""
        return self._alarm

    @property
    def idle(self) -> bool:
        """Whether no complete request is being served or waits to be."""
        return self._waiter is not None and not self._waiter.done() and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it at once when there are too many."""
        door = self._door
        if len(door.connections_open) >= door.capacity:
            self._refused = True
            cast("asyncio.Transport", transport).write(_FULL)
            transport.close()
            return
        super().connection_made(transport)
        door.connections_open.add(self)
        self._alarm.set(door.clock.monotonic() + door.limits.first_request, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel what is being served: nobody is there to read it."""
        self._door.connections_open.discard(self)
        self._alarm.close()
        self._stall.close()
        if not self._refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and count what the parser does not."""
        if self._deaf or self._refused:
            return
        in_body = not self._body.is_eof()
        waiting = len(self._messages)
        super().data_received(data)
        if in_body:
            self._count_framing(len(data))
        elif len(self._messages) == waiting:
            self._count_head(len(data))
        if len(self._messages) > waiting:
            if self._head + len(data) > self._door.limits.headers:
                self._refuse_large_heads(waiting)
            self._start_message()

    def _start_message(self) -> None:
        """Note what arrived with the newest message: a request, or an error in place of one."""
        message, payload = self._messages[-1]
        self._head = 0
        if isinstance(message, _ErrInfo):
            self._deaf = True
            if not self._body.is_eof():
                self._messages.pop()
                self._body.set_exception(_caller_error(message.exc))
            return
        self._body = payload
        self._framed = 0

    def _refuse_large_heads(self, first: int) -> None:
        limit = self._door.limits.headers
        for index in range(first, len(self._messages)):
            message, payload = self._messages[index]
            if isinstance(message, _ErrInfo):
                continue
            size = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
            if size > limit:
                self._deaf = True
                self._messages[index] = (_too_large(), payload)

    def _count_head(self, size: int) -> None:
        if self._head == 0 and size and self.idle:
            clock, limits = self._door.clock, self._door.limits
            self._alarm.set(clock.monotonic() + limits.header, self._header_too_slow)
        self._head += size
        if self._head > self._door.limits.headers:
            self._refuse(_too_large())

    def _count_framing(self, size: int) -> None:
        self._framed += size
        if self._framed > 2 * self._body.total_bytes + _FRAMING and not self._body.is_eof():
            self._deaf = True
            self._body.set_exception(BadFraming("The body's chunks are too small."))

    def _header_too_slow(self) -> None:
        error = ClientTooSlow("The request's headers did not arrive in time.")
        self._refuse(_ErrInfo(error.status, error, ""))

    def _refuse(self, error: _ErrInfo) -> None:
        """Answer the request that is being read with an error, after all before it."""
        self._deaf = True
        self._messages.append((error, EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def expect_body(self, seen: int = 0) -> None:
        """From now on the body must keep arriving; `ClientTooSlow` is raised to its reader."""
        self._body_seen = seen
        due = self._door.clock.monotonic() + self._door.limits.body_grace
        self._alarm.set(due, self._check_body)

    def _check_body(self) -> None:
        wanted = MIN_BODY_RATE * self._door.limits.body_grace
        if self._body.total_bytes - self._body_seen >= wanted:
            self.expect_body(self._body.total_bytes)
        else:
            self._deaf = True
            self._body.set_exception(ClientTooSlow("The request's body did not arrive in time."))

    def rest(self) -> None:
        """Wait for the next request: this one has been served."""
        if self.transport is None:
            return
        limits, now = self._door.limits, self._door.clock.monotonic()
        if self._head:
            self._alarm.set(now + limits.header, self._header_too_slow)
        else:
            self._alarm.set(now + limits.idle, self.force_close)

    def pause_writing(self) -> None:
        """Begin to watch a client that reads more slowly than we write."""
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """Let writing go on: the client has caught up."""
        self._stall.off()
        super().resume_writing()

    def _watch_stall(self) -> None:
        self._unsent = _unsent(self.transport)
        due = self._door.clock.monotonic() + self._door.limits.write_stall
        self._stall.set(due, self._check_stall)

    def _check_stall(self) -> None:
        if _unsent(self.transport) < self._unsent:
            self._watch_stall()
        elif self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> None:
        """Let the transport close: half-close means cancel."""
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def linger(self) -> None:
        """Send nothing more, and swallow what still comes so that the last answer is not lost."""
        self._deaf = True
        self._alarm.off()
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        transport.write_eof()
        self._resume_transport_reading()
        gone = self._gone = self._loop.create_future()
        due = self._door.clock.monotonic() + _LINGER
        self._alarm.set(due, lambda: None if gone.done() else gone.set_result(None))
        await gone

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Close: an error that reaches this place has no one left to explain itself to."""
        del request, status, exc, message
        raise ConnectionAbortedError

    def _make_error_handler(self, err_info: _ErrInfo) -> Answered:
        return self._door.unreadable(_caller_error(err_info.exc))

    def _process_keepalive(self) -> None:
        """Do nothing: our alarm closes idle connections."""


def _too_large() -> _ErrInfo:
    error = HeadersTooLarge("The request's headers are too large.")
    return _ErrInfo(error.status, error, "")


def _caller_error(error: BaseException) -> CallerError:
    """Return the constant text for a parser's complaint, which would repeat the input."""
    if isinstance(error, CallerError):
        return error
    if isinstance(error, LineTooLong):
        return HeadersTooLarge("The request line or a header is too long.", detail="line too long")
    known = isinstance(error, HttpProcessingError)
    return BadFraming(
        "The request is not valid HTTP/1.1.",
        detail=type(error).__name__ if known else "unreadable",
    )


def _unsent(transport: asyncio.Transport | None) -> int:
    """Return the bytes that the client has not taken yet, ours and the kernel's."""
    if transport is None:
        return 0
    sock = transport.get_extra_info("socket")
    waiting = bytearray(4)
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, waiting)
    except OSError:  # a system that does not tell
        return transport.get_write_buffer_size()
    return transport.get_write_buffer_size() + int(struct.unpack("i", waiting)[0])
