"""HTTP/1.1 as upstreams speak it, well or badly, over real sockets."""

import asyncio

import pytest

from gateway.core.errors import UpstreamBroken
from gateway.providers.transport.client import Transport
from gateway.providers.transport.connection import MAX_HEAD, RECEIVE, Connection
from gateway.providers.transport.origin import connect, parse_origin
from tests.fakes.clock import FakeClock, settle
from tests.fakes.transports import FAR, open_transport
from tests.fakes.upstream import (
    CUT,
    RESET,
    STALL,
    Answer,
    Part,
    json_reply,
    open_upstream,
    raw_reply,
    sse_reply,
)

OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"content-length: 11\r\n\r\nhello world"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
UNTIL_CLOSE = OK + b"\r\nhello world"


async def ask(transport: Transport, method: str = "POST") -> tuple[int, bytes]:
    response = await transport.request(method, "/x", b"{}", deadline=FAR)
    return response.status, await response.read()


async def failure(transport: Transport) -> str:
    with pytest.raises(UpstreamBroken) as caught:
        await ask(transport)
    return caught.value.code


def single_bytes(message: bytes) -> Answer:
    return raw_reply([message[i : i + 1] for i in range(len(message))])


@pytest.mark.parametrize("message", [SIZED, CHUNKED], ids=["content-length", "chunked"])
async def test_a_framed_body_arrives_whole_and_its_connection_is_reused(message: bytes) -> None:
    async with (
        open_upstream([raw_reply([message]), single_bytes(message)]) as up,
        open_transport(up.url) as transport,
    ):
        for _ in range(4):
            assert await ask(transport) == (200, b"hello world")
        assert up.connections == 1
        assert transport.stats.opened == 1
        assert transport.stats.reused == 3


async def test_a_body_that_ends_with_its_connection_arrives_whole() -> None:
    script = [raw_reply([SIZED]), raw_reply([UNTIL_CLOSE, CUT]), raw_reply([SIZED])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        for _ in range(3):
            assert await ask(transport) == (200, b"hello world")
        assert up.connections == 2


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n",
    ],
)
async def test_an_upstream_that_means_to_close_is_not_asked_again(head: bytes) -> None:
    async with (
        open_upstream([raw_reply([head + b"{}"])]) as up,
        open_transport(up.url) as transport,
    ):
        assert await ask(transport) == (200, b"{}")
        assert await ask(transport) == (200, b"{}")
        assert up.connections == 2


async def test_informational_answers_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    script = [raw_reply([interim, SIZED]), raw_reply([interim + SIZED])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        for _ in range(3):
            assert await ask(transport) == (200, b"hello world")
        assert up.connections == 1


async def test_an_answer_before_the_request_was_read_is_returned_and_the_connection_closed() -> (
    None
):
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}"
    gate = asyncio.Event()
    script = [raw_reply([refusal, gate, STALL], early=True)]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"x" * (32 << 20), deadline=FAR)
        assert response.status == 413
        assert await response.read() == b"{}"
        gate.set()
        await up.until_closed()
        assert transport.stats.in_use == transport.stats.idle == 0


async def test_no_content_has_no_body_and_its_connection_is_reused() -> None:
    script = [raw_reply([b"HTTP/1.1 204 No Content\r\n\r\n"])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        assert await ask(transport) == (204, b"")
        assert await ask(transport) == (204, b"")
        assert up.connections == 1


async def test_no_content_that_has_content_is_not_waited_for() -> None:
    gate = asyncio.Event()
    head = b"HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n"
    async with (
        open_upstream([raw_reply([head, gate, b"surprise!"])]) as up,
        open_transport(up.url) as transport,
    ):
        assert await ask(transport) == (204, b"")
        gate.set()
        await up.until_closed()


async def test_the_answer_to_head_has_no_body() -> None:
    script = [raw_reply([OK + b"content-length: 11\r\n\r\n"]), raw_reply([SIZED])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        assert await ask(transport, "HEAD") == (200, b"")
        assert await ask(transport) == (200, b"hello world")
        assert up.requests[0].method == "HEAD"


@pytest.mark.parametrize(
    ("status", "extra"),
    [(302, b"location: http://elsewhere/\r\ncontent-length: 2\r\n"), (304, b""), (101, b"")],
)
async def test_redirects_and_upgrades_are_not_followed(status: int, extra: bytes) -> None:
    message = b"HTTP/1.1 %d X\r\nconnection: upgrade\r\nupgrade: h2c\r\n%b\r\n" % (status, extra)
    async with open_upstream([raw_reply([message])]) as up, open_transport(up.url) as transport:
        assert await ask(transport) == (status, b"")
        await up.until_closed()
        assert len(up.requests) == 1


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([CUT], "upstream_reset"),
        ([RESET], "upstream_reset"),
        ([b"HTTP/1.1 20", CUT], "upstream_truncated"),
        ([OK + b"content-le", CUT], "upstream_truncated"),
        ([SIZED[:-3], CUT], "upstream_truncated"),
        ([CHUNKED[:-9], CUT], "upstream_truncated"),
        ([CHUNKED[:-2], CUT], "upstream_truncated"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], "bad_upstream"),
        ([b"\x15\x03\x01\x00\x02\x02\x46"], "bad_upstream"),
        ([b"HTTP/3.0 200 OK\r\n\r\n"], "bad_upstream"),
        ([OK + b"content-length: -1\r\n\r\n"], "bad_upstream"),
        ([OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"], "bad_upstream"),
        ([OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n"], "bad_upstream"),
        ([OK + b"transfer-encoding: chunked\r\n\r\n", b"ffffffffffffffffff\r\n"], "bad_upstream"),
        ([OK + b"x: \x00\r\n\r\n"], "bad_upstream"),
    ],
)
async def test_a_broken_answer_says_how_it_broke(parts: list[Part], code: str) -> None:
    async with open_upstream([raw_reply(parts)]) as up, open_transport(up.url) as transport:
        assert await failure(transport) == code
        assert transport.stats.in_use == transport.stats.idle == 0
        assert len(up.requests) == 1


async def test_a_reset_inside_a_body_is_a_reset_after_what_came_before_it() -> None:
    gate = asyncio.Event()
    script = [sse_reply([b"one", gate, RESET])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert await response.chunk() == b"one"
        gate.set()
        for _ in range(2):
            with pytest.raises(UpstreamBroken) as caught:
                await response.chunk()
            assert caught.value.code == "upstream_reset"


async def test_what_came_before_garbage_is_given_before_the_failure() -> None:
    head = OK + b"transfer-encoding: chunked\r\n\r\n"
    gate = asyncio.Event()
    script = [raw_reply([head, gate, b"3\r\none\r\nnot a chunk size"])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        gate.set()
        assert await response.chunk() == b"one"
        with pytest.raises(UpstreamBroken) as caught:
            await response.chunk()
        assert caught.value.code == "bad_upstream"
        await up.until_closed()


@pytest.mark.parametrize(
    "parts",
    [
        [OK + b"x: " + b"a" * (MAX_HEAD // 2)],
        [OK, *[b"x: y\r\n"] * 200],
        [OK + b"".join(b"x%d: %b\r\n" % (i, b"a" * 1000) for i in range(80)) + b"\r\n"],
        [OK, *[b"x: %b\r\n" % (b"a" * 10_000)] * 8],
        [b"HTTP/1.1 100 Continue\r\n\r\n" * 100] * 100,
        [b"HTTP/1.1 200 " + b"a" * 20_000],
    ],
    ids=["one header", "too many", "one write", "many writes", "endless interim", "reason"],
)
async def test_oversized_headers_are_refused(parts: list[Part]) -> None:
    async with (
        open_upstream([raw_reply([*parts, STALL])]) as up,
        open_transport(up.url) as transport,
    ):
        assert await failure(transport) == "bad_upstream"
        await up.until_closed()


async def test_large_headers_within_the_limit_pass() -> None:
    head = OK + b"".join(b"x%d: %b\r\n" % (i, b"a" * 1000) for i in range(60))
    script = [raw_reply([head + b"content-length: 200000\r\n\r\n" + b"b" * 200_000])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        assert await ask(transport) == (200, b"b" * 200_000)


@pytest.mark.parametrize(
    "extra",
    [SIZED, SIZED[:20], b"H", b"garbage"],
    ids=["a whole response", "half a head", "one byte", "garbage"],
)
async def test_bytes_after_the_end_of_a_response_never_answer_another_request(extra: bytes) -> None:
    first = OK + b"content-length: 2\r\n\r\n"
    gate = asyncio.Event()
    script = [raw_reply([first, gate, b"{}" + extra]), raw_reply([SIZED])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        gate.set()
        assert await response.read() == b"{}"
        await up.until_closed()
        assert await ask(transport) == (200, b"hello world")
        assert up.connections == 2


async def test_a_response_that_comes_with_another_one_is_given_once() -> None:
    async with (
        open_upstream([raw_reply([SIZED + CHUNKED]), raw_reply([SIZED])]) as up,
        open_transport(up.url) as transport,
    ):
        assert await ask(transport) == (200, b"hello world")
        await up.until_closed()


async def test_bytes_on_an_idle_connection_close_it() -> None:
    gate = asyncio.Event()
    script = [raw_reply([SIZED, gate, SIZED]), json_reply({})]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        assert await ask(transport) == (200, b"hello world")
        assert transport.stats.idle == 1
        gate.set()
        await up.until_closed()
        assert await ask(transport) == (200, b"{}")
        assert up.connections == 2


async def test_bytes_between_the_end_and_the_reading_close_the_connection() -> None:
    gate = asyncio.Event()
    script = [raw_reply([SIZED, gate, SIZED]), json_reply({})]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        gate.set()
        await up.until_closed()
        assert await response.read() == b"hello world"
        assert transport.stats.idle == 0


async def test_a_connection_lost_before_its_first_use_fails_at_once() -> None:
    clock = FakeClock()
    lost: list[Connection] = []
    async with open_upstream([json_reply({})]) as up:
        receive = memoryview(bytearray(RECEIVE))
        connection = await connect(
            parse_origin(up.url), None, lambda: Connection(clock, receive, lost.append), clock, 5
        )
        connection.abort()
        await settle()
        assert lost == [connection]
        connection.begin([b"GET / HTTP/1.1\r\n\r\n"])
        with pytest.raises(UpstreamBroken) as caught:
            await connection.wait(FAR, "upstream_timeout")
        assert caught.value.code == "upstream_reset"
        assert not connection.end()
