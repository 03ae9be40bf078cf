"""One HTTP/1.1 connection to an upstream: a request out, a response in, and no byte beyond it."""

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final, cast
from weakref import proxy

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader

from gateway.core.errors import UpstreamError
from gateway.core.ports import Clock, Timer
from gateway.providers.transport.body import NO_BODY, Body, NoBody, body_of
from gateway.providers.transport.upstream_errors import broken, timed_out

MAX_HEAD: Final = 64 << 10
RECEIVE: Final = 64 << 10
# Reading pauses above twice this; with one receive of 64 KiB on top that is 128 KiB.
LOW_WATER: Final = 32 << 10
_MAX_HEADER: Final = 16 << 10
_MAX_HEADERS: Final = 128
SOON: Final = 0.02
"""Seconds that the end of a connection may take to be noticed by a busy loop."""
_PARKED: Final = "parked"
_TICK: Final = 0.001


class Connection(asyncio.BufferedProtocol):
    """A connection that carries one exchange at a time.

    `begin` writes a request, `message` is then the response's head and `payload` its body, as soon
    as they come; `end` says whether another exchange may follow. Whatever fails is kept in `error`,
    and every wait ends with it. A buffered protocol: a plain one is handed up to 256 KB at once.
    """

    __slots__ = (
        "__weakref__",
        "_asking",
        "_began",
        "_clock",
        "_due",
        "_head_size",
        "_late",
        "_loop",
        "_lost",
        "_parser",
        "_paused",
        "_receive",
        "_renew",
        "_spoilt",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiter",
        "error",
        "message",
        "payload",
        "round_trip",
        "silent",
        "used",
    )

    def __init__(
        self, clock: Clock, receive: memoryview, lost: Callable[["Connection"], None]
    ) -> None:
        """Create it for `create_connection`. `receive` may be shared: it is emptied at once."""
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._receive = receive
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser = self._new_parser(body=True)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: Timer | None = None
        self._timer_at = inf
        self._due = inf
        self._late = _PARKED
        self._asking = False
        self._paused = False
        self._renew = False
        self._spoilt = False
        self._head_size = 0
        self._began = 0.0
        self.round_trip = 0.0
        """Seconds that opening it took, which is a trip to the server and back or more."""
        self.used = False
        """Whether it was there before the present exchange."""
        self.silent = True
        """Whether the present exchange has not had one byte of answer."""
        self.error: UpstreamError | None = None
        self.message: RawResponseMessage | None = None
        self.payload: Body | NoBody = NO_BODY

    def _new_parser(self, *, body: bool) -> HttpResponseParser:
        return HttpResponseParser(
            # It only needs our flow control; held by it, we would be left to the collector.
            cast("BaseProtocol", proxy(self)),
            self._loop,
            LOW_WATER,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            max_headers=_MAX_HEADERS,
            response_with_body=body,
            read_until_eof=True,
            auto_decompress=False,
        )

    # The exchange, as its owner sees it.

    @property
    def usable(self) -> bool:
        """Whether a request may be sent on it."""
        transport = self._transport
        return self.error is None and transport is not None and not transport.is_closing()

    @property
    def was_stale(self) -> bool:
        """Whether its server had closed it before the request came, and so took none.

        It looks like this: a connection that worked before ended, without one byte of answer, in
        less than one trip to the server and back. Later the server had the request.
        """
        spent = self._clock.monotonic() - self._began
        return self.used and self.silent and spent <= max(self.round_trip, SOON)

    def begin(self, request: Sequence[bytes], *, bodiless: bool = False) -> None:
        """Write a request. `bodiless` is for HEAD, whose answer only claims to have a body."""
        self._asking = True
        self._began = self._clock.monotonic()
        self.silent = True
        self.message = None
        self.payload = NO_BODY
        self._head_size = 0
        if bodiless or self._renew:
            self._parser = self._new_parser(body=not bodiless)
            self._spoilt = bodiless
            self._renew = False
        transport = self._transport
        if transport is None:
            self.error = broken("upstream_reset", "closed before it was used")
        elif len(request) == 1:
            transport.write(request[0])
        else:
            transport.writelines(request)

    def wait(self, due: float, late: str) -> "asyncio.Future[None]":
        """Return what is done when something has come in or failed; at `due` `late` fails it.

        Who stops waiting before that must `abort`. Raises what has failed already.
        """
        if self.error is not None:
            raise self.error.again()
        waiter = self._waiter = self._loop.create_future()
        self._arm(due, late)
        return waiter

    def end(self) -> bool:
        """End the exchange; return whether the connection is clean enough for another one."""
        message, transport = self.message, self._transport
        clean = (
            message is not None
            and transport is not None
            and self.usable
            and not self._spoilt
            and not message.should_close
            and self.payload.is_eof()
            # Early answers leave a request half sent.
            and transport.get_write_buffer_size() == 0
            # Between messages feed_eof is a no-op; inside one it returns the stray head.
            and self._parser.feed_eof() is None
        )
        self._asking = False
        self.used = True
        self.message = None
        self.payload = NO_BODY
        return clean

    def park(self, seconds: float) -> None:
        """Keep it idle for so long, then close it."""
        self.used = True
        self._arm(self._clock.monotonic() + seconds, _PARKED)

    def abort(self) -> None:
        """Close the socket now; what was not sent is dropped."""
        self._drop_timer()
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: UpstreamError) -> None:
        """Close the socket and end every wait with this error; the first one counts."""
        if self.error is None:
            self.error = error
        self.abort()
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            self._due = inf
            if not waiter.done():
                waiter.set_result(None)

    # One timer a connection. It is rarely the wait's own: when it rings early it is set again.

    def _arm(self, due: float, late: str) -> None:
        self._due = due
        self._late = late
        if self._timer is None or self._timer_at > due:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        self._drop_timer()
        self._timer_at = due
        self._timer = self._clock.after(max(0.0, due - self._clock.monotonic()), self._ring)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._due == inf:
            return
        if self._due - self._clock.monotonic() > _TICK:
            self._set_timer(self._due)
        elif self._late == _PARKED:
            self.abort()
        else:
            self.fail(timed_out(self._late))

    # asyncio's side: bytes and events from the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio calls it so
        return self._receive

    def buffer_updated(self, nbytes: int) -> None:
        if not self._asking or (self.message is not None and self.payload.is_eof()):
            # Bytes that nobody asked for would be read as the next request's answer.
            self._spoilt = True
            self.abort()
            return
        self.silent = False
        if self.message is None:
            self._head_size += nbytes
        self._feed(self._receive[:nbytes].tobytes())

    def eof_received(self) -> None:
        self._ended(None)
        # The transport would first wait for a request body that nobody will read.
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self._drop_timer()
        self._transport = None
        self._lost(self)

    def _feed(self, data: bytes) -> None:
        try:
            messages, upgraded, _ = self._parser.feed_data(data)
        except HttpProcessingError as error:
            self.fail(broken("bad_upstream", f"{type(error).__name__} from the parser"))
            return
        if upgraded:
            self._spoilt = True
        if self.message is None:
            self._take_head(messages)
        elif messages:
            self._spoilt = True
        self._wake()

    def _take_head(self, messages: Sequence[tuple[RawResponseMessage, StreamReader]]) -> None:
        for message, payload in messages:
            if self.message is not None:
                self._spoilt = True
            elif message.code >= 200 or message.code == 101:  # noqa: PLR2004 - 1xx are skipped
                self.message = message
                self.payload = body_of(payload)
        if self._head_size > MAX_HEAD and (self.message is None or _size(self.message) > MAX_HEAD):
            self.message = None
            self.fail(broken("bad_upstream", "oversized headers"))

    def _ended(self, exc: Exception | None) -> None:
        """Settle what the end of the connection means for the exchange on it."""
        if not self._asking or self.error is not None:
            return
        if self.message is None:
            self.error = broken(
                "upstream_reset" if self.silent or exc else "upstream_truncated", _name(exc)
            )
        elif not self.payload.is_eof():
            self._settle_body(exc)
        self._wake()

    def _settle_body(self, exc: Exception | None) -> None:
        if exc is not None:
            self.error = broken("upstream_reset", _name(exc))
            return
        # What flow control still holds back is parsed, and given, before the error is looked at.
        try:
            self._parser.feed_eof()  # completes a body that ends with the connection
        except HttpProcessingError as error:
            self.error = broken("upstream_truncated", type(error).__name__)

    # The payload's side: flow control.

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def pause_reading(self) -> None:
        self._paused = True
        # A pause that meets the body's end stays in the parser and would stall the next response.
        self._renew = True
        self._parser.pause_reading()
        if self.usable:
            cast("asyncio.Transport", self._transport).pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        if not self._paused:
            return
        self._paused = False
        if resume_parser:
            self._feed(b"")
        if not self._paused and self.usable:
            cast("asyncio.Transport", self._transport).resume_reading()


def _size(message: Any) -> int:  # noqa: ANN401 - the C parser's own message class
    return sum(len(name) + len(value) + 4 for name, value in message.raw_headers)


def _name(exc: Exception | None) -> str:
    return "closed" if exc is None else type(exc).__name__
