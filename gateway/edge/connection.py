"""One client connection: aiohttp's request parser with our own deadline for every phase.

A connection may be silent for `first_request`, then has `header` seconds from the first byte to
the last header, `body_grace` seconds for every thousand body bytes, the request's own deadline
while it is served, `write_stall` seconds to take something of what was written, and `idle` seconds
until its next request. A client that closes its sending side has left: half-close means cancel.
"""

import asyncio
import fcntl
import struct
import termios
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias, cast
from weakref import proxy

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.core.errors import CallerError, ClientTooSlow
from gateway.core.ports import Clock
from gateway.edge.alarm import Alarm
from gateway.edge.unreadable import FULL, BadFraming, caller_error, too_large
from gateway.settings import Limits

Head: TypeAlias = RawRequestMessage
"""A request's line and headers, as the parser read them."""
Arrived: TypeAlias = tuple[Head | CallerError, StreamReader]
"""A request with its body, or what is wrong in place of one."""

MIN_BODY_RATE: Final = 100
"""Bytes per second that a body must keep up over each `body_grace` seconds."""
_FRAMING: Final = 16 << 10
"""Bytes that chunked framing may take beyond the bytes that it frames."""
_OPENING: Final = 32
"""Bytes of a request to remember while its head is not complete."""
_LINGER: Final = 2.0
_READ_BUFFER: Final = 256 << 10
_MAX_HEADER: Final = 8190
_MAX_HEADERS: Final = 128
_PIPELINED: Final = 32
"""Requests that may wait for their turn before reading pauses."""


class Door(Protocol):
    """What a connection needs of its server."""

    clock: Clock
    limits: Limits
    capacity: int
    connections_open: "set[Connection]"

    async def serve(
        self, connection: "Connection", head: Head | CallerError, body: StreamReader
    ) -> bool:
        """Answer a request, or an error in place of one; return whether another may follow."""
        ...


class Connection(BaseProtocol):
    """A client's connection. Requests are served one by one, in a task that waits between them."""

    __slots__ = (
        *("__weakref__", "_arrived", "_body", "_body_seen", "_deaf", "_door", "_framed", "_gone"),
        *("_head", "_more", "_opening", "_requests", "_stall", "_unsent", "address", "alarm"),
        *("server", "task"),
    )

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        # aiohttp's own request handler costs a task, a request and a response object a request,
        # and has none of the deadlines below.
        self._requests = HttpRequestParser(
            proxy(self),  # we hold it: held by it in turn, each would be left to the collector
            loop,
            _READ_BUFFER,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            max_headers=_MAX_HEADERS,
            auto_decompress=False,
            max_msg_queue_size=_PIPELINED,
        )
        super().__init__(loop, self._requests)
        self._door = door
        self.alarm = Alarm(door.clock)
        """The clock that the request being served may set; it is ours between requests."""
        self.address = ""
        """The peer's address, as the socket says."""
        # A task for each request would be a fiftieth of its work.
        self.server: asyncio.Task[None] | None = None
        """What serves requests, from the first one to the end of the connection."""
        self.task: asyncio.Task[None] | None = None
        """The same while it serves, None while it waits for more."""
        self._more: asyncio.Future[None] | None = None
        self._arrived: deque[Arrived] = deque()
        self._stall = Alarm(door.clock)
        self._head = 0
        self._opening = b""
        self._body: StreamReader = EMPTY_PAYLOAD
        self._body_seen = 0
        self._framed = 0
        self._deaf = False
        self._gone: asyncio.Future[None] | None = None
        self._unsent = 0

    @property
    def asks_messages(self) -> bool:
        """Whether a request that could not be read began like one for /v1/messages."""
        return b" /v1/messages" in self._opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it at once when there are too many."""
        door = self._door
        if len(door.connections_open) >= door.capacity:
            self._deaf = True
            cast("asyncio.Transport", transport).write(FULL)
            transport.close()
            return
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        door.connections_open.add(self)
        self.alarm.set(door.clock.monotonic() + door.limits.first_request, self.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel what is being served: nobody is there to read it."""
        self._door.connections_open.discard(self)
        self.alarm.close()
        self._stall.close()
        self._deaf = True
        self._arrived.clear()
        super().connection_lost(exc)
        if self.server is not None:
            self.server.cancel()

    def close(self) -> None:
        """Close once everything that was written has left; read nothing more."""
        self._deaf = True
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and count what the parser does not."""
        if self._deaf:
            return
        in_body = not self._body.is_eof()
        try:
            messages, upgraded, _ = self._requests.feed_data(data)
        except HttpProcessingError as error:
            self._note_opening(data)
            self._refuse_unreadable(caller_error(error))
            return
        if messages:
            self._take(messages, data)
            self._deaf = upgraded  # what follows would be another protocol, and we speak none
        elif in_body:
            self._count_framing(len(data))
        else:
            self._count_head(data)

    def _take(self, messages: Sequence[tuple[Head, StreamReader]], data: bytes) -> None:
        """Serve new requests after those that are there."""
        arrived = self._arrived
        if self._head + len(data) > self._door.limits.headers:
            self._note_opening(data)
            arrived.extend(map(self._checked, messages))
        else:
            arrived.extend(messages)
        self._head = 0
        self._framed = 0
        self._body = messages[-1][1]
        if len(arrived) >= _PIPELINED and not self._buffer_paused:
            self._pause_reading_for_buffer()
        self._begin()

    def _checked(self, message: tuple[Head, StreamReader]) -> Arrived:
        head, body = message
        size = sum(len(name) + len(value) + 4 for name, value in head.raw_headers)
        return message if size <= self._door.limits.headers else (too_large(), body)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on; the body's reader asks for it with every read, paused or not."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _begin(self) -> None:
        """Let what has arrived be served, unless that is under way."""
        if self.task is not None:
            return
        if self.server is None:
            self.server = self._loop.create_task(self._serve())
        if self._more is not None:
            self._more.set_result(None)
            self._more = None
        self.task = self.server

    async def _serve(self) -> None:
        """Answer what arrives, in order, until the connection is to be closed."""
        arrived = self._arrived
        try:
            while True:
                while arrived:
                    head, body = arrived.popleft()
                    self._requests.message_consumed()
                    if self._buffer_paused and len(arrived) <= _PIPELINED // 2:
                        self._refill()
                    kept = await self._door.serve(self, head, body)
                    del head, body  # nothing of them is held while we wait for more
                    if not kept or (self._deaf and not arrived):
                        await self._linger()
                        return
                self.task = None
                self._rest()
                self._more = self._loop.create_future()
                await self._more
        finally:
            self.task = self.server = None
            self.close()

    def _refill(self) -> None:
        """Parse what the full queue held back, and read on unless that filled it again."""
        self.data_received(b"")
        if len(self._arrived) < _PIPELINED:
            self._resume_reading_for_buffer()

    def _note_opening(self, data: bytes) -> None:
        if self._head == 0:
            self._opening = data[:_OPENING]

    def _count_head(self, data: bytes) -> None:
        self._note_opening(data)
        if self._head == 0 and data and self.task is None:
            clock, limits = self._door.clock, self._door.limits
            self.alarm.set(clock.monotonic() + limits.header, self._header_too_slow)
        self._head += len(data)
        if self._head > self._door.limits.headers:
            self._refuse(too_large())

    def _count_framing(self, size: int) -> None:
        self._framed += size
        if self._framed > 2 * self._body.total_bytes + _FRAMING and not self._body.is_eof():
            self._deaf = True
            self._body.set_exception(BadFraming("The body's chunks are too small."))

    def _header_too_slow(self) -> None:
        self._refuse(ClientTooSlow("The request's headers did not arrive in time."))

    def _refuse(self, error: CallerError) -> None:
        """Answer the request that is being read with an error, after all before it."""
        self._deaf = True
        self._arrived.append((error, EMPTY_PAYLOAD))
        self._begin()

    def _refuse_unreadable(self, error: CallerError) -> None:
        if self._body.is_eof():
            self._refuse(error)
        else:
            self._deaf = True
            self._body.set_exception(error)

    def expect_body(self, seen: int = 0) -> None:
        """From now on the body must keep arriving; `ClientTooSlow` is raised to its reader."""
        self._body_seen = seen
        due = self._door.clock.monotonic() + self._door.limits.body_grace
        self.alarm.set(due, self._check_body)

    def _check_body(self) -> None:
        wanted = MIN_BODY_RATE * self._door.limits.body_grace
        if self._body.total_bytes - self._body_seen >= wanted:
            self.expect_body(self._body.total_bytes)
        else:
            self._deaf = True
            self._body.set_exception(ClientTooSlow("The request's body did not arrive in time."))

    def _rest(self) -> None:
        """Wait for the next request: this one has been served."""
        if self.transport is None:
            return
        limits, now = self._door.limits, self._door.clock.monotonic()
        if self._head:
            self.alarm.set(now + limits.header, self._header_too_slow)
        else:
            self.alarm.set(now + limits.idle, self.close)

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

    async def _linger(self) -> None:
        """Send nothing more, and swallow what still comes so that the last answer is not lost."""
        self._deaf = True
        self.alarm.off()
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        try:
            transport.write_eof()
        except OSError:  # reset in the meantime, as proxies do with what was refused
            return
        self._resume_transport_reading()
        gone = self._gone = self._loop.create_future()
        due = self._door.clock.monotonic() + _LINGER
        self.alarm.set(due, lambda: None if gone.done() else gone.set_result(None))
        await gone


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
