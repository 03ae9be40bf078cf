"""The operator's listener: a table of routes, and a token for those below /admin."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

from aiohttp import web
from msgspec import Struct

from gateway.core import wire
from gateway.core.secret import Secret

DEADLINE: Final = 10.0
"""Seconds that a connection may last: one request, one answer, then it is closed."""
CONNECTIONS: Final = 64
HEAD_BYTES: Final = 4096
BODY_BYTES: Final = 64 << 10
ACTOR: Final = "x-turnout-actor"
"""In which header our own supervisor says who asked it."""
_NAMED: Final = "/{id}"
_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad_request", "The request cannot be read."),
    401: ("invalid_token", "Send the admin token: 'Authorization: Bearer <token>'."),
    403: ("admin_token_missing", "/admin is off: set `admin_token` in gateway.yaml, and restart."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "The Allow header says what is answered here."),
    413: ("body_too_large", "A request here has at most 64 KiB."),
    500: ("internal_error", "The log says more."),
}


class AdminAnswer(Struct, frozen=True):
    """What an operator gets."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


class AdminRequest(Struct, frozen=True):
    """What an operator asks: `name` is what stands for `{id}`, `actor` who it is, for the log."""

    name: str = ""
    body: bytes = b""
    actor: str = ""


class AdminRoute(Struct, frozen=True):
    """One thing that an operator can ask for. Below /admin the token is asked for.

    `path` may end in `/{id}`, which stands for one name.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    answer: Callable[[AdminRequest], Awaitable[AdminAnswer]]

    @property
    def guarded(self) -> bool:
        """Whether the admin token is asked for."""
        return self.path.startswith("/admin/")


class Admin(Struct, frozen=True):
    """An open admin listener; `port` is 0 on a unix socket."""

    port: int


class _Desk:
    """Answers requests from the table."""

    def __init__(self, routes: Sequence[AdminRoute], token: Secret | None, trusted: bool) -> None:
        self._routes: dict[tuple[str, str], AdminRoute] = {
            (route.path, route.method): route for route in routes
        }
        self._paths = {route.path for route in routes}
        self._token = token
        self._trusted = trusted

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. A `trusted` listener is a unix socket of ours: no token there."""
        path, name = self._place(request.path)
        route = self._routes.get((path, request.method))
        if route is None:
            allowed = [method for known, method in self._routes if known == path]
            return _problem(405, ", ".join(allowed)) if allowed else _problem(404)
        if route.guarded and not self._trusted:
            if self._token is None:
                return _problem(403)
            if not _holds(request, self._token):
                return _problem(401)
        body = await _body(request)
        if body is None:
            return _problem(413)
        answer = await route.answer(AdminRequest(name, body, self._actor(request)))
        return _response(answer.body, answer.content_type, answer.status)

    def _place(self, path: str) -> tuple[str, str]:
        """Return the path of a route, and the name that stands in it."""
        above, _, name = path.rpartition("/")
        named = name and path not in self._paths and above + _NAMED in self._paths
        return (above + _NAMED, name) if named else (path, "")

    def _actor(self, request: web.BaseRequest) -> str:
        if self._trusted:
            return request.headers.get(ACTOR, "")
        token = sha256(self._token.reveal().encode()).hexdigest()[:8] if self._token else "nobody"
        return f"{token} at {request.remote}"


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
    routes: Sequence[AdminRoute],
    *,
    token: Secret | None = None,
    deadline: float = DEADLINE,
) -> AsyncIterator[Admin]:
    """Listen until the end of the block. A `host` that starts with a slash is a unix socket.

    A socket that somebody else has put in its place meanwhile is left there.
    """
    loop = asyncio.get_running_loop()
    local = host.startswith("/")
    server: web.Server = web.Server(_Desk(routes, token, trusted=local).answer)
    held: set[_Connection] = set()

    def connection() -> _Connection:
        return _Connection(server, loop, held, deadline)

    if local:
        listener = await loop.create_unix_server(connection, host)
    else:
        listener = await loop.create_server(connection, host, port)
    bound = await asyncio.to_thread(_file_at, host) if local else None
    try:
        yield Admin(port=0 if local else listener.sockets[0].getsockname()[1])
    finally:
        listener.close()
        await server.shutdown(1.0)
        await listener.wait_closed()
        if local and await asyncio.to_thread(_file_at, host) == bound:
            await asyncio.to_thread(Path(host).unlink, missing_ok=True)


def _file_at(path: str) -> tuple[int, int, int] | None:
    """Return what tells the file at a path from any other that stood there, None without one."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns  # a number may be given again, a time not


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return the body, None when it is too large."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


def json_answer(content: object, status: HTTPStatus = HTTPStatus.OK) -> AdminAnswer:
    """Return an answer in JSON, on a line of its own."""
    return AdminAnswer(wire.encode(content) + b"\n", status)


def _holds(request: web.BaseRequest, token: Secret) -> bool:
    given = request.headers.getall("authorization", [])
    scheme, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    sent = value.strip().encode("utf-8", "surrogateescape")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent, token.reveal().encode())


def _response(body: bytes, content_type: str, status: int) -> web.Response:
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


def _problem(status: int, allow: str = "") -> web.Response:
    code, message = _PROBLEMS[status]
    body = wire.encode({"error": {"code": code, "message": message}}) + b"\n"
    response = _response(body, "application/json", status)
    if allow:
        response.headers["allow"] = allow
    elif status == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = 'Bearer realm="turnout admin"'
    return response
