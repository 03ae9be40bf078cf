"""Slow and vanishing readers of streams."""

import asyncio

import pytest

from gateway.core.exchange import Exchange
from gateway.core.reply import Block, Reply, Stream, Tally
from gateway.runtime import SystemClock
from gateway.settings import Limits
from tests.fakes.raw_client import STREAM, RawClient, connect, post
from tests.fakes.service import ANSWERED, FakeBlocks, House, make_stream, open_house

A = b'data: {"a":1}\n\n'
DONE = b"data: [DONE]\n\n"


def ask() -> bytes:
    return post(STREAM)


def blocks(stream: Stream) -> FakeBlocks:
    assert isinstance(stream.blocks, FakeBlocks)
    return stream.blocks


class Firehose:
    """Blocks without end, as fast as they are taken."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed = asyncio.Event()

    def __aiter__(self) -> "Firehose":
        return self

    async def __anext__(self) -> Block:
        self.taken += 1
        return Block(b"data: " + b"x" * 8000 + b"\n\n")

    async def aclose(self) -> None:
        self.closed.set()


async def until_stuck(hose: Firehose) -> int:
    """Return what was taken once it is not taken any more."""
    before = -1
    while before != hose.taken:
        before = hose.taken
        await asyncio.sleep(0.05)
    return before * 8008


async def test_a_reader_that_stalls_holds_little_and_is_cut_off() -> None:
    """D11, E04: at most 256 KiB wait for it on our side."""
    hose = Firehose()
    stream = Stream(hose, Tally(), "openai", ANSWERED)
    async with open_house(stream) as house, connect(house.port, window=4096) as client:
        client.send(ask())
        await client.head()
        assert await until_stuck(hose) < 400_000  # the client's own buffers are part of it
        (visit,) = house.edge._visits
        sent = visit.sent
        await house.clock.advance(20)
        assert visit.sent == sent  # no sign of life piles up behind what is not read
        await house.clock.advance(11)
        await house.clock.advance(31)
        outcome = await house.until_reported()
    assert outcome.code == "client_gone"
    assert hose.closed.is_set()


async def test_a_client_that_leaves_a_firehose_stops_it() -> None:
    """E01: also when the stream never waits for its upstream."""
    hose = Firehose()
    stream = Stream(hose, Tally(), "openai", ANSWERED)
    async with open_house(stream) as house, connect(house.port) as client:
        client.send(ask())
        await client.head()
        client.reset()
        async with asyncio.timeout(5):
            await hose.closed.wait()
        await house.until_reported()


async def abandon(house: House, count: int) -> None:
    async def one() -> None:
        async with connect(house.port) as client:
            client.send(ask())
            await client.head()
            await client.chunk()

    for start in range(0, count, 100):
        await asyncio.gather(*(one() for _ in range(min(100, count - start))))
    async with asyncio.timeout(5):
        while house.edge.connections_open or len(house.outcomes) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.long)])
async def test_abandoned_streams_leave_nothing_behind(count: int) -> None:
    """E13."""
    streams: list[Stream] = []

    async def endless(exchange: Exchange) -> Reply:
        streams.append(make_stream([A, asyncio.Event()]))
        return streams[-1]

    async with open_house(endless) as house:
        await abandon(house, count)
        assert house.edge.in_flight == 0
        assert house.edge._bodies.held == 0
        assert all(blocks(stream).closed.is_set() for stream in streams)
        assert len(asyncio.all_tasks()) == 1


async def slow_readers(count: int) -> None:
    """Some readers take nothing while one stream runs on beside them."""
    hoses: list[Firehose] = []
    clock = SystemClock()

    async def chain(exchange: Exchange) -> Reply:
        if exchange.request.wants_usage:
            return make_stream([A] * 200 + [DONE])
        hoses.append(Firehose())
        return Stream(hoses[-1], Tally(), "openai", ANSWERED)

    async def stall(client: RawClient) -> None:
        client.send(ask())
        await client.head()

    fast = STREAM.replace(
        b'"stream":true', b'"stream":true,"stream_options":{"include_usage":true}'
    )
    async with open_house(chain, clock=clock) as house:
        async with asyncio.TaskGroup() as group:
            stop = asyncio.Event()

            async def hold() -> None:
                async with connect(house.port, window=4096) as client:
                    await stall(client)
                    await stop.wait()

            for _ in range(count):
                group.create_task(hold())
            while len(hoses) < count:
                await asyncio.sleep(0.01)
            async with connect(house.port) as client:
                answer = await client.ask(post(fast))
            assert answer.body.count(A) == 200
            assert all([await until_stuck(hose) < 400_000 for hose in hoses])
            stop.set()
        async with asyncio.timeout(5):
            while house.edge.connections_open:
                await asyncio.sleep(0.01)
    assert all(hose.closed.is_set() for hose in hoses)


@pytest.mark.parametrize("count", [5, pytest.param(100, marks=pytest.mark.long)])
async def test_slow_readers_are_bounded_and_harm_no_fast_stream(count: int) -> None:
    """E04."""
    await slow_readers(count)


async def test_a_write_stall_limit_can_be_set() -> None:
    """D11."""
    stream = Stream(Firehose(), Tally(), "openai", ANSWERED)
    limits = Limits(write_stall=5)
    async with (
        open_house(stream, limits=limits) as house,
        connect(house.port, window=4096) as client,
    ):
        client.send(ask())
        await client.head()
        await asyncio.sleep(0.1)
        for _ in range(3):
            await house.clock.advance(5)
        assert (await house.until_reported()).code == "client_gone"
