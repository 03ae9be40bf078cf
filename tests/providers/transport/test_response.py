"""Reading a response: whole, in chunks, not at all."""

import asyncio
import hashlib
import random

import pytest

from gateway.core.errors import UpstreamBroken, UpstreamTimeout
from gateway.providers.transport.body import Body
from gateway.providers.transport.client import TransportConfig
from tests.fakes.clock import FakeClock
from tests.fakes.transports import FAR, open_transport
from tests.fakes.upstream import STALL, json_reply, open_upstream, raw_reply, sse_reply

MIB = 1 << 20


async def test_headers_are_lower_case_and_printable() -> None:
    message = (
        b"HTTP/1.1 200 OK\r\nX-Request-ID: abc\r\nX-Odd: caf\xc3\xa9\r\nX-Raw: \xff\r\n"
        b"X-Tab: a\tb\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"X-Part: 1\r\nX-Part: 2\r\nX-Part: \xff\r\ncontent-length: 0\r\n\r\n"
    )
    async with (
        open_upstream([raw_reply([message])]) as up,
        open_transport(up.url) as transport,
    ):
        response = await transport.request("GET", "/x", deadline=FAR)
        kept = {"x-request-id": "abc", "x-twice": "2", "x-part": "2", "content-length": "0"}
        assert response.headers == kept
        for name in (*kept, "x-odd", "x-raw", "x-tab", "x-none"):
            assert response.header(name) == kept.get(name, "")
        assert await response.read() == b""


async def test_reused_says_whether_the_connection_was() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        for expected in (False, True, True):
            response = await transport.request("POST", "/x", b"{}", deadline=FAR)
            assert response.reused is expected
            await response.read()


async def test_a_body_over_the_limit_is_refused_and_its_connection_closed() -> None:
    script = [json_reply(b"x" * 1001), json_reply(b"x" * 1000)]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        with pytest.raises(UpstreamBroken) as caught:
            await response.read(1000)
        assert caught.value.code == "bad_upstream"
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert len(await response.read(1000)) == 1000


async def test_an_endless_body_is_cut_at_the_limit() -> None:
    script = [sse_reply([b"x" * MIB] * 64)]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        with pytest.raises(UpstreamBroken):
            await response.read(MIB)
        await up.until_closed()


async def test_a_whole_answer_may_be_silent_until_its_deadline() -> None:
    clock = FakeClock()
    async with (
        open_upstream([sse_reply([b"{", STALL])]) as up,
        open_transport(up.url, TransportConfig(idle=1), clock=clock) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=clock.monotonic() + 600)
        reading = asyncio.ensure_future(response.read())
        await clock.advance(599)
        assert not reading.done()
        await clock.advance(2)
        with pytest.raises(UpstreamTimeout) as caught:
            await reading
        assert caught.value.code == "upstream_timeout"
        await up.until_closed()


async def test_closing_an_unfinished_body_closes_the_socket() -> None:
    async with (
        open_upstream([sse_reply([b"one", STALL])]) as up,
        open_transport(up.url) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert await response.chunk() == b"one"
        response.close()
        response.close()
        async with asyncio.timeout(0.25):
            await up.until_closed()
        with pytest.raises(UpstreamBroken):
            await response.chunk()
        assert transport.stats.in_use == transport.stats.idle == 0


async def test_closing_a_body_that_came_in_whole_keeps_the_connection() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert await response.chunk() == b"{}"
        response.close()
        assert await response.chunk() == b""
        assert transport.stats.idle == 1
        assert up.closed == 0


@pytest.mark.parametrize("whole", [True, False])
async def test_a_cancelled_reader_closes_the_socket(whole: bool) -> None:
    async with (
        open_upstream([sse_reply([b"one", STALL])]) as up,
        open_transport(up.url) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert await response.chunk() == b"one"
        reading = asyncio.ensure_future(response.read() if whole else response.chunk())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        async with asyncio.timeout(0.25):
            await up.until_closed()
        assert transport.stats.in_use == 0


@pytest.mark.parametrize("pieces", [1, 64, 4096])
async def test_an_upstream_faster_than_its_reader_is_held_back(pieces: int) -> None:
    body = random.Random(1).randbytes(8 * MIB)
    size = len(body) // pieces
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    async with (
        open_upstream([sse_reply(chunks), json_reply({"then": "whole"})]) as up,
        open_transport(up.url) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        await asyncio.sleep(0.05)
        assert isinstance(response._payload, Body)
        held = response._payload.total_bytes
        assert held <= 128 << 10
        read = hashlib.sha256()
        most = 0
        while data := await response.chunk():
            read.update(data)
            most = max(most, len(data))
        assert read.digest() == hashlib.sha256(body).digest()
        assert most <= 128 << 10
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert await response.read() == b'{"then": "whole"}'
        assert up.connections == 1


@pytest.mark.parametrize("closing", [False, True])
async def test_a_sized_body_held_back_to_its_end_arrives_whole(closing: bool) -> None:
    body = random.Random(2).randbytes(700_000)
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n" if closing else b"HTTP/1.1 200 OK\r\n"
    sized = head + b"content-length: %d\r\n\r\n" % len(body)
    async with (
        open_upstream([raw_reply([sized + body])]) as up,
        open_transport(up.url) as transport,
    ):
        for _ in range(3):
            response = await transport.request("POST", "/x", b"{}", deadline=FAR)
            await asyncio.sleep(0.02)
            assert await response.read() == body
        assert up.connections == (3 if closing else 1)


async def test_very_many_tiny_chunks_pass_and_the_next_answer_too() -> None:
    script = [
        raw_reply(
            [
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                + b"1\r\nx\r\n" * tiny
                + b"0\r\n\r\n"
            ]
        )
        for tiny in (20_000, 2049, 2050, 4097)
    ]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        for tiny in (20_000, 2049, 2050, 4097, 4097):
            response = await transport.request("POST", "/x", b"{}", deadline=FAR)
            await asyncio.sleep(0.01)
            assert await response.read() == b"x" * tiny
        assert up.connections == 1


async def test_what_was_held_back_is_not_lost_with_the_connection() -> None:
    tiny = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000
    async with (
        open_upstream([raw_reply([tiny + b"0\r\n\r\n"])]) as up,
        open_transport(up.url) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert response._connection is not None
        response._connection.eof_received()
        assert await response.read() == b"x" * 5000
