"""The operator's listener: /metrics, /livez and /readyz, and nothing else."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web
from msgspec import Struct

from gateway.core import wire

DEADLINE: Final = 10.0
"""Seconds that a connection may last: one request, one answer, then it is closed."""
CONNECTIONS: Final = 64
HEAD_BYTES: Final = 4096
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_PROBLEMS: Final[Mapping[int, bytes]] = {
    400: b'{"error":{"code":"bad_request","message":"The request cannot be read."}}\n',
    404: b'{"error":{"code":"not_found","message":"Here are /metrics, /livez and /readyz."}}\n',
    405: b'{"error":{"code":"method_not_allowed","message":"Only GET is answered here."}}\n',
    500: b'{"error":{"code":"internal_error","message":"The log says more."}}\n',
}


class Readiness(Protocol):
    """Whether this process should get traffic, and why not."""

    def ready(self) -> bool: ...
    def report(self) -> Mapping[str, Any]: ...


class Admin(Struct, frozen=True):
    """An open admin listener; `port` is 0 on a unix socket."""

    port: int


class _Connection(web.RequestHandler):
    """One request per connection, within a deadline; errors are constant texts."""

    __slots__ = ("_alarm", "_deadline", "_open")

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        open_now: set["_Connection"],
        deadline: float,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            lingering_time=0,
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
        )
        self._open = open_now
        self._deadline = deadline
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._open.add(self)
        if len(self._open) > CONNECTIONS:
            self.force_close()
        else:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self._deadline, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._open.discard(self)
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        del request, message
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.logger.error("an admin request failed", exc_info=exc)
        return _problem(status if status in _PROBLEMS else 400)


@asynccontextmanager
async def open_admin(
    host: str,
    port: int,
    *,
    metrics: Callable[[], bytes] | Callable[[], Awaitable[bytes]],
    readiness: Readiness,
    deadline: float = DEADLINE,
) -> AsyncIterator[Admin]:
    """Listen until the end of the block. A `host` that starts with a slash is a unix socket."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET":
            return _problem(405)
        if request.path == "/livez":
            return _answer(b"alive\n", "text/plain; charset=utf-8")
        if request.path == "/readyz":
            status = 200 if readiness.ready() else 503
            report = wire.encode(readiness.report()) + b"\n"
            return _answer(report, "application/json", status)
        if request.path == "/metrics":
            text = metrics()
            return _answer(await text if inspect.isawaitable(text) else text, _PROMETHEUS)
        return _problem(404)

    loop = asyncio.get_running_loop()
    server: web.Server = web.Server(answer)
    held: set[_Connection] = set()

    def connection() -> _Connection:
        return _Connection(server, loop, held, deadline)

    if host.startswith("/"):
        listener = await loop.create_unix_server(connection, host)
    else:
        listener = await loop.create_server(connection, host, port)
    try:
        yield Admin(port=port if host.startswith("/") else listener.sockets[0].getsockname()[1])
    finally:
        listener.close()
        await server.shutdown(1.0)
        await listener.wait_closed()
        if host.startswith("/"):
            await asyncio.to_thread(Path(host).unlink, missing_ok=True)


def _answer(body: bytes, content_type: str, status: int = 200) -> web.Response:
    response = web.Response(
        body=body,
        status=status,
        headers={
            "content-type": content_type,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )
    response.force_close()
    return response


def _problem(status: int) -> web.Response:
    response = _answer(_PROBLEMS[status], "application/json", status)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["allow"] = "GET"
    return response
