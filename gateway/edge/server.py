"""The door: every request comes in here, and leaves exactly one answer and one outcome."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from math import inf
from types import TracebackType
from typing import Final

from aiohttp.streams import StreamReader

from gateway.core import wire
from gateway.core.chat import ChatRequest, Endpoint
from gateway.core.errors import CallerError, Draining, GatewayError, InternalError, is_deadline
from gateway.core.exchange import Exchange
from gateway.core.reply import Whole
from gateway.edge import decode
from gateway.edge.again import Again
from gateway.edge.connection import Connection, Head
from gateway.edge.encode import send, send_error, send_whole
from gateway.edge.identity import STRANGER, wrong_key
from gateway.edge.routes import ModelPages, Route, check_method, find_route
from gateway.edge.service import Service
from gateway.edge.stream import Relay, out_of_time, send_broken_end
from gateway.edge.unreadable import BadFraming
from gateway.edge.visit import ClientGone, Visit
from gateway.policy.snapshot import Snapshot

_BACKLOG: Final = 4096
_SEND_BUFFER: Final = 64 << 10
_LAST_WORDS: Final = 2.0
_FAREWELL: Final = 0.1
"""Seconds that an error takes on its way from the chain to the socket, and more."""
_FRAMES: Final = 3


class Edge:
    """The open door; `port` is where it listens."""

    def __init__(self, service: Service) -> None:
        self.clock = service.runtime.clock
        self.limits = service.limits
        self.capacity = service.limits.connections or _descriptors() * 4 // 5
        self.connections_open: set[Connection] = set()
        self.port = 0
        self.listener: asyncio.Server
        self._service = service
        self._pages = ModelPages(service.catalogue)
        self._bodies = decode.Bodies(service.limits, service.known)
        self._again = Again(service)
        self._visits: set[Visit] = set()
        self._wake = asyncio.Event()
        service.keys.follow(self._expel)
        service.holder.follow(self._expel)

    @property
    def in_flight(self) -> int:
        """How many requests are being served."""
        return len(self._visits)

    def connection(self) -> Connection:
        """Return the protocol for a connection that was accepted."""
        return Connection(self, asyncio.get_running_loop())

    async def serve(
        self, connection: Connection, head: Head | CallerError, body: StreamReader
    ) -> bool:
        """Answer a request, or an error in place of one; return whether another may follow."""
        connection.alarm.off()
        visit = Visit(self._service.runtime.new_id(), self.clock, connection)
        self._visits.add(visit)
        try:
            try:
                work = self._answer(visit, head, body)
                stream = None if work is None else await work
                if stream is not None:  # here, since every chunk climbs down all that awaits it
                    await stream.run()
                if connection.writing_paused:
                    await visit.drain()
            except (Exception, asyncio.CancelledError) as error:
                if not self._refuse(visit, body, error):
                    raise
        except ClientGone:
            visit.left()
        except asyncio.CancelledError:
            visit.left()
            raise
        finally:
            self._leave(visit)
        return visit.keep

    def _leave(self, visit: Visit) -> None:
        self._visits.discard(visit)
        self._bodies.release(visit)
        if visit.snapshot is not None:
            self._service.holder.give_back(visit.snapshot)
        if not self._visits:
            self._wake.set()
        self._service.report(visit.outcome())

    def _refuse(self, visit: Visit, body: StreamReader, failure: BaseException) -> bool:
        """Tell the caller what went wrong, in whatever way is left; False where it must not be."""
        error = _cause(visit, failure)
        if error is None:
            return False
        visit.blame(error)
        if visit.streaming:
            send_broken_end(visit, error, visit.dialect)
        elif visit.first_byte is not None:
            visit.cut()
        else:
            if isinstance(error, BadFraming) or not body.is_eof():
                visit.keep = False
            send_error(visit, error)
        return True

    def _answer(
        self, visit: Visit, head: Head | CallerError, body: StreamReader
    ) -> Awaitable[Relay | None] | None:
        """Answer at once, or return the work of relaying; its result is a stream to be sent."""
        if isinstance(head, CallerError):
            if visit.connection.asks_messages:
                visit.dialect = "anthropic"
            raise head.again()
        if head.version >= (1, 1):
            closing = head.should_close or head.upgrade or self._service.readiness.draining
            visit.keep = not closing
            visit.chunked = True
        visit.head_only = head.method == "HEAD"
        if "anthropic-version" in head.headers or head.path.startswith("/v1/messages"):
            visit.dialect = "anthropic"
        path, query = decode.check_head(head)
        route = find_route(path)
        visit.template = route.template
        if route.endpoint is not None:
            visit.dialect = route.dialect
        else:
            visit.keep = visit.keep and body.is_eof()
        check_method(route, head.method)
        if route.page in {"livez", "readyz"}:
            self._show_health(visit, route)
            return None
        snapshot = visit.snapshot = self._service.holder.take()
        visit.caller = self._service.keys.identify(
            head.headers,
            query,
            visit.connection.address,
            visit.started,
            snapshot.callers,
            closed=snapshot.closed,
        )
        if route.endpoint is None:
            self._show_models(visit, path, route)
            return None
        return self._relay(visit, head, body, route.endpoint, snapshot=snapshot)

    async def _relay(
        self,
        visit: Visit,
        head: Head,
        body: StreamReader,
        endpoint: Endpoint,
        *,
        snapshot: Snapshot,
    ) -> Relay | None:
        """Answer, or return the stream that is still to be sent."""
        service, policy = self._service, visit.caller.policy
        allowed = decode.seconds_allowed(head, self.limits.request)
        deadline = visit.started + allowed
        visit.own_deadline = deadline if allowed < self.limits.request else inf
        visit.client_retry = decode.retry_count(head)
        chat = await decode.read_request(visit, head, body, endpoint, self._bodies)
        visit.keep = visit.keep and body.is_eof()
        visit.model, visit.stream, visit.policy = chat.model, chat.stream, policy
        visit.caller.check_model(chat.model)
        exchange = self._exchange(visit, head, chat, deadline, snapshot)
        visit.connection.alarm.set(deadline, lambda: visit.interrupt(out_of_time(visit)))
        reply = await snapshot.chains[policy](exchange)
        if isinstance(reply, Whole):
            visit.connection.alarm.off()
            send_whole(visit, reply, service.catalogue)
            cached = visit.facts().cached
            if cached is not None and cached.hit:
                service.known.remember(visit.caller.tenant, chat)
            return None
        return Relay(
            visit,
            reply,
            service.catalogue,
            deadline=deadline,
            keepalive=service.keepalive,
        )

    def _exchange(
        self, visit: Visit, head: Head, chat: ChatRequest, deadline: float, snapshot: Snapshot
    ) -> Exchange:
        policy = visit.policy
        return Exchange(
            visit.id,
            visit.caller,
            chat,
            deadline,
            visit.notes,
            policy,
            decode.may_drop_params(head),
            decode.named_headers(head, snapshot.headers),
            snapshot.answers.get((policy, chat.stream), ""),
            self._again,
            decode.cost_allowed(head),
            visit.connection.address,
            visit.own_deadline,
        )

    def _show_health(self, visit: Visit, route: Route) -> None:
        if route.page == "livez":
            send(visit, 200, b'{"alive":true}')
            return
        readiness = self._service.readiness
        send(visit, 200 if readiness.ready() else 503, wire.encode(readiness.summary()))

    def _show_models(self, visit: Visit, path: str, route: Route) -> None:
        pages = self._pages
        body = (
            pages.all(visit.dialect, visit.caller.models)
            if route.page == "models"
            else pages.one(path, visit.dialect, visit.caller.models)
        )
        send(visit, 200, body)

    def _expel(self) -> None:
        """End the requests of those who are no longer let in, unless they may finish."""
        keys, snapshot = self._service.keys, self._service.holder.current
        if snapshot.on_revoke == "finish":
            return
        for visit in list(self._visits):
            caller = visit.caller
            gone = snapshot.closed and caller.tenant not in snapshot.callers
            if caller is not STRANGER and (gone or not keys.admits(caller)):
                visit.interrupt(wrong_key())

    async def drain(self) -> None:
        """Accept nothing more, let what is in flight end, then cut it. A second call cuts now."""
        readiness = self._service.readiness
        if readiness.draining:
            self._wake.set()
            return
        readiness.draining = True
        self.listener.close()
        for connection in list(self.connections_open):
            if connection.task is None:
                connection.close()
        for visit in self._visits:
            visit.keep = False
        await self._until_empty(self.limits.drain)
        self._cut()
        await self._until_empty(_LAST_WORDS)

    def _cut(self) -> None:
        """Tell everyone who is being served, in the way that is left, that this is the end."""
        for visit in list(self._visits):
            visit.interrupt(Draining("This server is going away. Try again.", retry_after=1))

    async def _until_empty(self, seconds: float) -> None:
        """Wait until nothing is in flight, at most so long; a second drain ends the wait."""
        if not self._visits:
            return
        self._wake.clear()
        timer = self.clock.after(seconds, self._wake.set)
        await self._wake.wait()
        timer.cancel()

    async def close(self) -> None:
        """Close everything at once; what is in flight is told so, and has `_FAREWELL` to say it."""
        self.listener.close()
        # A visit may outlast its connection for a moment, and a connection be between two visits.
        held = {*self.connections_open, *(visit.connection for visit in self._visits)}
        tasks = [connection.server for connection in held if connection.server is not None]
        self._cut()
        if self._visits:
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _FAREWELL)
        for connection in list(self.connections_open):
            connection.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._again.close()


@asynccontextmanager
async def open_edge(
    service: Service, host: str, port: int, *, reuse_port: bool = False
) -> AsyncIterator[Edge]:
    """Listen until the end of the block. `port` 0 takes a free one. Raises OSError."""
    edge = Edge(service)
    listener = await asyncio.get_running_loop().create_server(
        edge.connection,
        host or None,
        port,
        reuse_port=reuse_port or None,
        backlog=_BACKLOG,
    )
    for sock in listener.sockets:  # accepted sockets inherit it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    edge.listener = listener
    edge.port = listener.sockets[0].getsockname()[1]
    try:
        yield edge
    finally:
        await edge.close()


def _cause(visit: Visit, error: BaseException) -> GatewayError | None:
    """Return what to tell the caller about a failure, None when nobody is there to be told."""
    if isinstance(error, GatewayError):
        return out_of_time(visit, error.detail) if is_deadline(error) else error
    if isinstance(error, asyncio.CancelledError):
        task = visit.connection.task
        if visit.interruption is not None and task is not None:
            task.uncancel()
            return visit.interruption
        return None
    if isinstance(error, ClientGone):
        return None
    return InternalError("The gateway failed.", detail=_where(error))


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def _where(error: BaseException) -> str:
    """Return type and innermost places of an error, without its text, which may hold anything."""
    places = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(places[-_FRAMES:]))}"
