import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.commands.asking import ask as ask_worker
from gateway.core import wire
from gateway.core.secret import Secret
from gateway.edge.admin import ACTOR, CONNECTIONS, AdminAnswer, AdminRequest, AdminRoute, open_admin

TOKEN = Secret("hunter2-admin", "test")


async def ask(port: int, request: str) -> tuple[int, Mapping[str, str], bytes]:
    """Send raw text and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode("latin-1"))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return split(answer)


def split(answer: bytes) -> tuple[int, Mapping[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def get(path: str, method: str = "GET", **headers: str) -> str:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n"


async def pong(_request: AdminRequest) -> AdminAnswer:
    return AdminAnswer(b"pong", content_type="text/plain")


async def fail(_request: AdminRequest) -> AdminAnswer:
    raise RuntimeError("an internal detail")


async def echo(request: AdminRequest) -> AdminAnswer:
    return AdminAnswer(wire.encode([request.name, len(request.body), request.actor]))


ROUTES = [
    AdminRoute("POST", "/admin/things", echo),
    AdminRoute("DELETE", "/admin/things/{id}", echo),
    AdminRoute("GET", "/ping", pong),
    AdminRoute("POST", "/admin/ping", pong),
    AdminRoute("GET", "/admin/ping", pong),
    AdminRoute("GET", "/fail", fail),
]


async def test_a_route_is_answered_and_never_cached() -> None:
    async with open_admin("127.0.0.1", 0, ROUTES) as admin:
        status, headers, body = await ask(admin.port, get("/ping?verbose"))
    assert (status, body) == (200, b"pong")
    assert headers["content-type"] == "text/plain"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("request_text", "status", "allow"),
    [
        (get("/"), 404, None),
        (get("/v1/models"), 404, None),
        (get("/ping/<evil>"), 404, None),
        (get("/ping", "POST"), 405, "get"),
        (get("/admin/ping", "DELETE"), 405, "post, get"),
        ("<evil>\r\n\r\n", 400, None),
        ("GET /<evil>\x00 HTTP/1.1\r\n\r\n", 400, None),
        (f"GET /ping HTTP/1.1\r\nHost: x\r\nX: <evil>{'a' * 9_000}\r\n\r\n", 400, None),
    ],
)
async def test_everything_else_gets_a_constant_error_without_an_echo(
    request_text: str, status: int, allow: str | None
) -> None:
    async with open_admin("127.0.0.1", 0, ROUTES) as admin:
        got, headers, body = await ask(admin.port, request_text)
    assert got == status
    assert b"evil" not in body
    assert set(wire.decode(body)["error"]) == {"code", "message"}
    assert headers.get("allow") == allow


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer hunter2-admi"}, 401),
        ({"authorization": "Basic hunter2-admin"}, 401),
        ({"authorization": "hunter2-admin"}, 401),
        ({"x-api-key": "hunter2-admin"}, 401),
        ({"authorization": "Bearer hunter2-admin", "Authorization": "Bearer x"}, 401),
        ({"authorization": "Bearer \xff\xfe"}, 401),
        ({"authorization": "Bearer hunter2-admin"}, 200),
        ({"Authorization": "bearer  hunter2-admin "}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_below_admin_the_token_is_asked_for(
    method: str, sent: dict[str, str], status: int
) -> None:
    async with open_admin("127.0.0.1", 0, ROUTES, token=TOKEN) as admin:
        got, headers, body = await ask(admin.port, get("/admin/ping", method, **sent))
        assert (await ask(admin.port, get("/ping")))[0] == 200
    assert got == status
    assert b"hunter2" not in body
    assert ("www-authenticate" in headers) == (status == 401)


async def test_without_a_token_admin_is_off_and_says_why() -> None:
    async with open_admin("127.0.0.1", 0, ROUTES) as admin:
        sent = {"authorization": "Bearer "}
        status, _, body = await ask(admin.port, get("/admin/ping", "POST", **sent))
    assert status == 403
    assert wire.decode(body)["error"] == {
        "code": "admin_token_missing",
        "message": "/admin is off: set `admin_token` in gateway.yaml, and restart.",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("DELETE", "/admin/things/abc", 200, "abc"),
        ("DELETE", "/admin/things/a%20b", 200, "a b"),
        ("DELETE", "/admin/things/", 404, ""),
        ("DELETE", "/admin/things/a/b", 404, ""),
        ("DELETE", "/admin/things/a%2Fb", 404, ""),
        ("DELETE", "/admin/things", 405, ""),
        ("GET", "/admin/things/abc", 405, ""),
        ("DELETE", "/admin/ping/abc", 404, ""),
    ],
)
async def test_a_path_may_end_in_one_name(method: str, path: str, status: int, name: str) -> None:
    sent = {"authorization": "Bearer hunter2-admin"}
    async with open_admin("127.0.0.1", 0, ROUTES, token=TOKEN) as admin:
        got, _, body = await ask(admin.port, get(path, method, **sent))
    assert got == status
    if status == 200:
        assert wire.decode(body)[0] == name


@pytest.mark.parametrize(("size", "status"), [(0, 200), (64 << 10, 200), ((64 << 10) + 1, 413)])
async def test_a_body_has_a_limit(size: int, status: int) -> None:
    sent = {"authorization": "Bearer hunter2-admin", "content-length": str(size)}
    async with open_admin("127.0.0.1", 0, ROUTES, token=TOKEN) as admin:
        got, _, body = await ask(admin.port, get("/admin/things", "POST", **sent) + "x" * size)
    assert got == status
    if status == 200:
        assert wire.decode(body)[1] == size


async def test_the_actor_is_the_tokens_fingerprint_and_the_address_whatever_a_header_says() -> None:
    sent = {"authorization": "Bearer hunter2-admin", ACTOR: "somebody else"}
    async with open_admin("127.0.0.1", 0, ROUTES, token=TOKEN) as admin:
        _, _, body = await ask(admin.port, get("/admin/things", "POST", **sent))
    actor = wire.decode(body)[2]
    assert actor == f"{sha256(b'hunter2-admin').hexdigest()[:8]} at 127.0.0.1"


async def test_on_our_own_socket_the_supervisor_says_who_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    async with open_admin(path, 0, ROUTES, token=TOKEN):
        status, body = await ask_worker(path, "/admin/things", "POST", body=b"xyz", actor="ann")
    assert (status, wire.decode(body)) == (200, ["", 3, "ann"])


async def test_a_failing_source_is_a_constant_error_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        async with open_admin("127.0.0.1", 0, ROUTES) as admin:
            status, _, body = await ask(admin.port, get("/fail"))
    assert status == 500
    assert b"detail" not in body
    assert "an admin request failed" in caplog.text


@pytest.mark.parametrize("sent", ["", "GET /ping HTTP/1.1\r\nHost:"])
async def test_who_does_not_finish_a_request_in_time_is_cut_off(sent: str) -> None:
    async with open_admin("127.0.0.1", 0, ROUTES, deadline=0.05) as admin:
        reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
        writer.write(sent.encode())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_only_so_many_connections_are_held() -> None:
    async with open_admin("127.0.0.1", 0, ROUTES) as admin:
        held = [await asyncio.open_connection("127.0.0.1", admin.port) for _ in range(CONNECTIONS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
        assert await reader.read() == b""
        for _, each in [*held, (reader, writer)]:
            each.close()
            await each.wait_closed()
        assert (await ask(admin.port, get("/ping")))[0] == 200


async def test_a_worker_listens_on_a_unix_socket_that_is_gone_afterwards(tmp_path: Path) -> None:
    """Who reaches the socket is our supervisor: no token is asked for there."""
    path = tmp_path / "admin.sock"
    async with open_admin(str(path), 0, ROUTES, token=TOKEN) as admin:
        assert admin.port == 0
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(get("/admin/ping", "POST").encode())
        assert split(await reader.read())[2] == b"pong"
        writer.close()
        await writer.wait_closed()
    assert not path.exists()


async def test_a_worker_that_ends_late_leaves_its_successors_socket_alone(tmp_path: Path) -> None:
    """A supervisor was killed and started again while a worker of the first one still drained."""
    path = str(tmp_path / "admin.sock")
    async with AsyncExitStack() as first:
        await first.enter_async_context(open_admin(path, 0, ROUTES))
        async with open_admin(path, 0, ROUTES):
            await first.aclose()
            assert await ask_worker(path, "/ping") == (200, b"pong")
