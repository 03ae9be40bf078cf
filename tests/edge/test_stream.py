"""Streams to the caller over real sockets: order, framing, signs of life, and honest ends."""

import asyncio
import json
import time

import pytest
from msgspec.structs import replace

from gateway.core.chat import Dialect
from gateway.core.errors import StreamCut, UpstreamTimeout
from gateway.core.exchange import Exchange
from gateway.core.reply import Reply, Stream, Watched
from tests.fakes.clock import FakeClock
from tests.fakes.raw_client import STREAM, connect, get, post
from tests.fakes.service import FakeBlocks, Step, make_stream, open_house

A, B = b'data: {"a":1}\n\n', b'data: {"b":2}\n\n'
DONE = b"data: [DONE]\n\n"
STOP = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
NOTE = b": turnout cost=0.000020 overhead-ms=0.00\n\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def ask(dialect: Dialect = "openai", **headers: str) -> bytes:
    path = "/v1/chat/completions" if dialect == "openai" else "/v1/messages"
    return post(STREAM, path, **headers)


def blocks(stream: Stream) -> FakeBlocks:
    assert isinstance(stream.blocks, FakeBlocks)
    return stream.blocks


async def relayed(steps: list[Step], dialect: Dialect = "openai") -> bytes:
    async with (
        open_house(make_stream(steps, dialect)) as house,
        connect(house.port) as client,
    ):
        answer = await client.ask(ask(dialect))
        assert (await client.ask(get("/livez"))).status == 200
    return answer.body


async def test_blocks_pass_as_they_are_and_the_note_comes_right_before_the_end() -> None:
    assert await relayed([A, B, DONE]) == A + B + NOTE + DONE
    assert await relayed([A, B + DONE]) == A + B + NOTE + DONE
    assert await relayed([A + b": hi\n\n" + DONE + b": bye\n\n"]) == (
        A + b": hi\n\n" + NOTE + DONE + b": bye\n\n"
    )
    assert await relayed([A, b"", STOP], "anthropic") == A + NOTE + STOP
    tricky = b'data: {"text":"[DONE] message_stop"}\n\n'
    assert await relayed([tricky, DONE]) == tricky + NOTE + DONE


async def test_a_stream_without_terminal_event_ends_with_the_note() -> None:
    assert await relayed([A]) == A + b": turnout overhead-ms=0.00\n\n"
    assert await relayed([]) == b": turnout overhead-ms=0.00\n\n"


async def test_the_headers_say_that_nothing_may_be_buffered() -> None:
    """E12."""
    async with open_house(make_stream([A, DONE])) as house, connect(house.port) as client:
        answer = await client.ask(ask(accept_encoding="gzip"))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-turnout-model"] == "small"
    assert "content-encoding" not in answer.headers
    assert "content-length" not in answer.headers
    assert "x-turnout-cost" not in answer.headers
    assert house.outcomes[0].stream
    assert house.outcomes[0].first_byte is not None


async def test_each_block_is_sent_when_it_comes() -> None:
    """E12: one block, one chunk, and none waits for the next."""
    gates = [asyncio.Event() for _ in range(3)]
    stream = make_stream([A, gates[0], B, gates[1], A + B, gates[2], DONE])
    async with open_house(stream) as house, connect(house.port) as client:
        client.send(ask())
        await client.head()
        assert await client.chunk() == A
        gates[0].set()
        assert await client.chunk() == B
        gates[1].set()
        assert await client.chunk() == A + B
        gates[2].set()
        assert await client.chunk() == NOTE + DONE
        assert await client.chunk() == b""
    assert house.outcomes[0].sent > len(A + B + A + B + DONE)


@pytest.mark.parametrize(
    ("dialect", "sign"), [("openai", b": keep-alive\n\n"), ("anthropic", PING)]
)
async def test_silence_is_broken_every_15_seconds(dialect: Dialect, sign: bytes) -> None:
    """E06."""
    gates = [asyncio.Event(), asyncio.Event()]
    stream = make_stream([A, gates[0], B, gates[1], DONE], dialect)
    async with open_house(stream) as house, connect(house.port) as client:
        client.send(ask(dialect))
        await client.head()
        assert await client.chunk() == A
        for _ in range(2):
            await house.clock.advance(15)
            assert await client.chunk() == sign
        await house.clock.advance(10)
        gates[0].set()
        assert await client.chunk() == B
        await house.clock.advance(14.5)
        gates[1].set()
        assert (await client.chunk()).endswith(DONE)


async def test_no_sign_of_life_is_sent_before_the_first_block() -> None:
    gate = asyncio.Event()
    async with open_house(make_stream([gate, A, DONE])) as house, connect(house.port) as client:
        client.send(ask())
        await house.until_asked()
        await house.clock.advance(31)
        gate.set()
        await client.head()
        assert await client.chunk() == A


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_a_stream_that_breaks_ends_with_one_error_event(dialect: Dialect) -> None:
    """E07, E10: never a silent end, never [DONE]."""
    cut = StreamCut("The provider's answer ended too early.", detail="reset")
    async with (
        open_house(make_stream([A, cut], dialect)) as house,
        connect(house.port) as client,
    ):
        answer = await client.ask(ask(dialect))
        house.chain.reply = make_stream([A, DONE], dialect)
        assert (await client.ask(ask(dialect))).status == 200, "it is told that it may ask again"
    first, explained, event, rest = answer.body.split(b"\n\n")
    assert first + b"\n\n" == A
    assert explained.startswith(b": turnout overhead-ms=")
    assert rest == b""
    name, data = event.split(b"\n") if dialect == "anthropic" else (b"", event)
    error = json.loads(data.removeprefix(b"data: "))
    assert error["error"]["message"] == "The provider's answer ended too early."
    if dialect == "openai":
        assert error["error"]["code"] == "upstream_truncated"
    else:
        assert name == b"event: error"
        assert error["type"] == "error"
    outcome = house.outcomes[0]
    assert (outcome.status, outcome.code, outcome.detail) == (200, "upstream_truncated", "reset")


async def test_a_stall_ends_with_the_providers_error() -> None:
    """E06."""
    stall = UpstreamTimeout("The provider went silent.", code="upstream_idle")
    body = None
    async with open_house(make_stream([A, stall])) as house, connect(house.port) as client:
        body = (await client.ask(ask())).body
    assert b'"code":"upstream_idle"' in body
    assert DONE not in body
    del house


async def test_a_stream_that_breaks_before_its_first_block_is_a_plain_error() -> None:
    async with (
        open_house(make_stream([StreamCut("Cut.")])) as house,
        connect(house.port) as client,
    ):
        answer = await client.ask(ask())
    assert answer.status == 502
    assert answer.headers["content-type"] == "application/json"
    assert len(house.outcomes) == 1


async def test_a_bug_in_a_stream_is_a_constant_error_event() -> None:
    """K12."""
    async with (
        open_house(make_stream([A, ZeroDivisionError("secret")])) as house,
        connect(house.port) as client,
    ):
        answer = await client.ask(ask())
    assert b'"message":"The gateway failed."' in answer.body
    assert b"secret" not in answer.body
    assert house.outcomes[0].detail.startswith("ZeroDivisionError at ")


async def test_a_deadline_that_passes_in_a_stream_is_an_error_event() -> None:
    stream = make_stream([A, asyncio.Event()])
    async with open_house(stream) as house, connect(house.port) as client:
        client.send(ask(x_turnout_deadline_ms="5000"))
        await client.head()
        await client.chunk()
        await house.clock.advance(5)
        assert b'"code":"deadline_exceeded"' in await client.chunk()
        assert await client.chunk() == b""
    assert blocks(stream).closed.is_set()


async def test_an_http_1_0_client_gets_plain_bytes_and_an_honest_end() -> None:
    async with open_house(make_stream([A, StreamCut("Cut.")])) as house:
        async with connect(house.port) as client:
            answer = await client.ask(post(STREAM, version="1.0"))
        assert answer.body.startswith(A + b": turnout ")
        assert b'\n\ndata: {"error"' in answer.body
        house.chain.reply = make_stream([A, asyncio.Event()])
        async with connect(house.port) as client:
            client.send(post(STREAM, version="1.0"))
            await client.head()
            assert await client.reader.readexactly(len(A)) == A
            await house.clock.advance(15)
            assert await client.reader.readexactly(14) == b": keep-alive\n\n"


@pytest.mark.parametrize("leave", ["vanish", "reset", "half_close"])
async def test_a_client_that_leaves_closes_the_stream_at_once(leave: str) -> None:
    """E01, E03."""
    stream = make_stream([A, asyncio.Event()])
    async with open_house(stream) as house, connect(house.port) as client:
        client.send(ask())
        await client.head()
        await client.chunk()
        left = time.monotonic()
        getattr(client, leave)()
        async with asyncio.timeout(5):
            await blocks(stream).closed.wait()
        assert time.monotonic() - left < 1
        outcome = await house.until_reported()
    assert (outcome.status, outcome.code, outcome.stream) == (499, "client_gone", True)
    assert not house.edge.connections_open


async def test_overhead_does_not_count_the_wait_for_blocks() -> None:
    gate = asyncio.Event()
    stream = make_stream([A, gate, DONE])

    async def timed(_: Exchange) -> Reply:
        now = house.clock.monotonic
        return replace(stream, blocks=Watched(stream.blocks, stream.tally, lambda _: None, now))

    async with open_house(timed) as house, connect(house.port) as client:
        client.send(ask())
        await client.head()
        await client.chunk()
        await house.clock.advance(10)
        gate.set()
        assert await client.chunk() == NOTE + DONE
    assert isinstance(house.clock, FakeClock)
