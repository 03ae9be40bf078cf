"""The door: every request comes in here, and leaves exactly one answer and one outcome."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, cast

from aiohttp import web

from gateway.core import wire
from gateway.core.chat import Endpoint
from gateway.core.errors import CallerError, Draining, GatewayError, InternalError
from gateway.core.exchange import Exchange
from gateway.core.outcome import overhead
from gateway.core.reply import Whole
from gateway.edge import decode
from gateway.edge.connection import Answered, BadFraming, Connection
from gateway.edge.encode import send, send_error, send_whole
from gateway.edge.routes import ModelPages, Route, check_method, find_route
from gateway.edge.service import Service
from gateway.edge.stream import Relay, out_of_time, send_broken_end
from gateway.edge.visit import ClientGone, Visit

POLICY: Final = "default"
_BACKLOG: Final = 4096
_SEND_BUFFER: Final = 64 << 10
_LAST_WORDS: Final = 2.0
_FRAMES: Final = 3


class _Sent(web.StreamResponse):
    """A response whose bytes are already on the socket; tells only what becomes of it."""

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self._keep_alive = keep

    async def prepare(self, request: web.BaseRequest) -> None:
        if not self._keep_alive:
            await cast("Connection", request.protocol).linger()

    async def write_eof(self, data: bytes = b"") -> None:
        del data


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
        self._bodies = decode.Bodies(service.limits.bodies_in_flight)
        self._visits: set[Visit] = set()
        self._wake = asyncio.Event()
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._kept = _Sent(keep=True)
        self._last = _Sent(keep=False)

    @property
    def in_flight(self) -> int:
        """How many requests are being served."""
        return len(self._visits)

    def connection(self) -> Connection:
        """Return the protocol for a connection that was accepted."""
        return Connection(self, self._server, asyncio.get_running_loop())

    def unreadable(self, error: CallerError) -> Answered:
        """Return what answers a request that could not be read."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(request, error)

        return answer

    async def _handle(
        self, request: web.BaseRequest, unreadable: CallerError | None = None
    ) -> web.StreamResponse:
        connection = cast("Connection", request.protocol)
        connection.alarm.off()
        visit = Visit(self._service.runtime.new_id(), self.clock, connection)
        visit.address = _address(connection)
        self._visits.add(visit)
        try:
            await self._answer(visit, request, unreadable)
        except ClientGone:
            visit.left()
        except asyncio.CancelledError:
            visit.left()
            raise
        finally:
            self._leave(visit)
        return self._kept if visit.keep else self._last

    def _leave(self, visit: Visit) -> None:
        self._visits.discard(visit)
        self._bodies.release(visit)
        visit.connection.rest()
        if not self._visits:
            self._wake.set()
        self._service.report(visit.outcome())

    async def _answer(
        self, visit: Visit, request: web.BaseRequest, unreadable: CallerError | None
    ) -> None:
        """Serve the request; whatever goes wrong is told to the caller."""
        try:
            await self._serve(visit, request, unreadable)
        except GatewayError as error:
            await self._refuse(visit, request, error)
        except asyncio.CancelledError:
            if visit.interruption is None or visit.task is None:
                raise
            visit.task.uncancel()
            await self._refuse(visit, request, visit.interruption)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: no caller may see a bug
            bug = InternalError("The gateway failed.", detail=_where(error))
            await self._refuse(visit, request, bug)

    async def _refuse(self, visit: Visit, request: web.BaseRequest, error: GatewayError) -> None:
        visit.blame(error)
        if visit.streaming:
            await send_broken_end(visit, error, visit.dialect)
            return
        if visit.first_byte is not None:
            visit.cut()
            return
        if isinstance(error, BadFraming) or not request.content.is_eof():
            visit.keep = False
        await send_error(visit, error)

    async def _serve(
        self, visit: Visit, request: web.BaseRequest, unreadable: CallerError | None
    ) -> None:
        if unreadable is not None:
            raise unreadable
        if request.version >= (1, 1):
            visit.keep = request.keep_alive and not self._service.readiness.draining
            visit.chunked = True
        visit.head_only = request.method == "HEAD"
        if "anthropic-version" in request.headers or request.raw_path.startswith("/v1/messages"):
            visit.dialect = "anthropic"
        path, query = decode.check_head(request)
        route = find_route(path)
        visit.template = route.template
        if route.endpoint is not None:
            visit.dialect = route.dialect
        else:
            visit.keep = visit.keep and request.content.is_eof()
        check_method(route, request.method)
        if route.page in {"livez", "readyz"}:
            await self._show_health(visit, route)
            return
        visit.caller = self._service.keys.identify(
            request.headers, query, visit.address, visit.started
        )
        if route.endpoint is None:
            await self._show_models(visit, path, route)
        else:
            await self._relay(visit, request, route.endpoint)

    async def _relay(self, visit: Visit, request: web.BaseRequest, endpoint: Endpoint) -> None:
        service = self._service
        deadline = visit.started + decode.seconds_allowed(request, self.limits.request)
        drop = decode.may_drop_params(request)
        visit.client_retry = decode.retry_count(request)
        chat = await decode.read_request(visit, request, endpoint, self.limits, self._bodies)
        visit.keep = visit.keep and request.content.is_eof()
        visit.model, visit.stream, visit.policy = chat.model, chat.stream, POLICY
        exchange = Exchange(
            id=visit.id,
            caller=visit.caller,
            request=chat,
            deadline=deadline,
            notes=visit.notes,
            policy=POLICY,
            drop_params=drop,
        )
        visit.connection.alarm.set(deadline, lambda: visit.interrupt(out_of_time()))
        reply = await service.holder.current.chains[POLICY](exchange)
        if isinstance(reply, Whole):
            visit.connection.alarm.off()
            await send_whole(visit, reply, service.catalogue)
            return
        visit.stream = True
        relay = Relay(
            visit,
            reply,
            service.catalogue,
            deadline=deadline,
            keepalive=service.keepalive,
            overhead=overhead(visit.notes, visit.started, self.clock.monotonic()),
        )
        await relay.run()

    async def _show_health(self, visit: Visit, route: Route) -> None:
        if route.page == "livez":
            await send(visit, 200, b'{"alive":true}')
            return
        readiness = self._service.readiness
        await send(visit, 200 if readiness.ready() else 503, wire.encode(readiness.summary()))

    async def _show_models(self, visit: Visit, path: str, route: Route) -> None:
        pages = self._pages
        body = (
            pages.all(visit.dialect) if route.page == "models" else pages.one(path, visit.dialect)
        )
        await send(visit, 200, body)

    async def drain(self) -> None:
        """Accept nothing more, let what is in flight end, then cut it. A second call cuts now."""
        readiness = self._service.readiness
        if readiness.draining:
            self._wake.set()
            return
        readiness.draining = True
        self.listener.close()
        for connection in list(self.connections_open):
            if connection.idle:
                connection.force_close()
        for visit in self._visits:
            visit.keep = False
        await self._until_empty(self.limits.drain)
        for visit in list(self._visits):
            visit.interrupt(Draining("This server is going away. Try again."))
        await self._until_empty(_LAST_WORDS)

    async def _until_empty(self, seconds: float) -> None:
        """Wait until nothing is in flight, at most so long; a second drain ends the wait."""
        if not self._visits:
            return
        self._wake.clear()
        timer = self.clock.after(seconds, self._wake.set)
        await self._wake.wait()
        timer.cancel()

    async def close(self) -> None:
        """Close everything at once."""
        self.listener.close()
        tasks = [c._task_handler for c in self.connections_open if c._task_handler is not None]  # noqa: SLF001 - aiohttp has no public name
        for connection in list(self.connections_open):
            connection.force_close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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


def _address(connection: Connection) -> str:
    peer = connection.peername
    return str(peer[0]) if isinstance(peer, tuple) else ""


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
