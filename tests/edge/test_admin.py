import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.core import wire
from gateway.edge.admin import CONNECTIONS, open_admin
from gateway.edge.readiness import Readiness, Warmed

METRICS = b"turnout_requests_total 1.0\n"


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


def get(path: str, method: str = "GET") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_metrics_are_served_as_prometheus_text() -> None:
    async with open_admin("127.0.0.1", 0, metrics=lambda: METRICS, readiness=Readiness()) as admin:
        status, headers, body = await ask(admin.port, get("/metrics"))
    assert (status, body) == (200, METRICS)
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"


async def test_metrics_may_have_to_be_collected_first() -> None:
    async def collect() -> bytes:
        await asyncio.sleep(0)
        return METRICS

    async with open_admin("127.0.0.1", 0, metrics=collect, readiness=Readiness()) as admin:
        assert (await ask(admin.port, get("/metrics")))[2] == METRICS


async def test_readiness_says_what_is_missing_and_liveness_does_not_care() -> None:
    readiness = Readiness(warmups={"openai": Warmed()})
    async with open_admin("127.0.0.1", 0, metrics=lambda: METRICS, readiness=readiness) as admin:
        assert (await ask(admin.port, get("/livez")))[0] == 200
        status, _, body = await ask(admin.port, get("/readyz"))
        assert status == 503
        assert wire.decode(body)["warmups"]["openai"]["state"] == "pending"
        readiness.warmups["openai"].state = "ready"
        assert (await ask(admin.port, get("/readyz?verbose")))[0] == 200


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (get("/"), 404),
        (get("/v1/models"), 404),
        (get("/metrics/<evil>"), 404),
        (get("/metrics", "POST"), 405),
        (get("/livez", "DELETE"), 405),
        ("<evil>\r\n\r\n", 400),
        ("GET /<evil>\x00 HTTP/1.1\r\n\r\n", 400),
        (f"GET /metrics HTTP/1.1\r\nHost: x\r\nX: <evil>{'a' * 9_000}\r\n\r\n", 400),
    ],
)
async def test_everything_else_gets_a_constant_error_without_an_echo(
    request_text: str, status: int
) -> None:
    async with open_admin("127.0.0.1", 0, metrics=lambda: METRICS, readiness=Readiness()) as admin:
        got, headers, body = await ask(admin.port, request_text)
    assert got == status
    assert b"evil" not in body
    assert set(wire.decode(body)["error"]) == {"code", "message"}
    assert (headers.get("allow") == "get") == (status == 405)


async def test_a_failing_source_is_a_constant_error_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> bytes:
        raise RuntimeError("an internal detail")

    with caplog.at_level(logging.ERROR):
        async with open_admin("127.0.0.1", 0, metrics=fail, readiness=Readiness()) as admin:
            status, _, body = await ask(admin.port, get("/metrics"))
    assert status == 500
    assert b"detail" not in body
    assert "an admin request failed" in caplog.text


@pytest.mark.parametrize("sent", ["", "GET /metrics HTTP/1.1\r\nHost:"])
async def test_who_does_not_finish_a_request_in_time_is_cut_off(sent: str) -> None:
    metrics: dict[str, Any] = {"metrics": lambda: METRICS, "readiness": Readiness()}
    async with open_admin("127.0.0.1", 0, **metrics, deadline=0.05) as admin:
        reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
        writer.write(sent.encode())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_only_so_many_connections_are_held() -> None:
    async with open_admin("127.0.0.1", 0, metrics=lambda: METRICS, readiness=Readiness()) as admin:
        held = [await asyncio.open_connection("127.0.0.1", admin.port) for _ in range(CONNECTIONS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
        assert await reader.read() == b""
        for _, each in [*held, (reader, writer)]:
            each.close()
            await each.wait_closed()
        assert (await ask(admin.port, get("/livez")))[0] == 200


async def test_a_worker_listens_on_a_unix_socket_that_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with open_admin(str(path), 0, metrics=lambda: METRICS, readiness=Readiness()) as admin:
        assert admin.port == 0
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(get("/metrics").encode())
        assert split(await reader.read())[2] == METRICS
        writer.close()
        await writer.wait_closed()
    assert not path.exists()
