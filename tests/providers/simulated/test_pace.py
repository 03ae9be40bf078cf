"""Waiting in a simulated provider, on a clock that stands still."""

import asyncio

import pytest

from gateway.core.errors import (
    UpstreamTimeout,
)
from gateway.core.reply import Stream, Whole
from gateway.providers.simulated.laws import Fixed, Saturating
from gateway.providers.simulated.pace import Room
from tests.fakes.clock import FakeClock, settle
from tests.fakes.simulated import (
    ask,
    make,
    read_all,
    soon,
)

SLOW = Fixed(first_token=1.0, gap=0.5)


async def test_a_whole_answer_takes_as_long_as_its_tokens() -> None:
    clock = FakeClock()
    provider = make(clock, latency=SLOW)
    task = asyncio.ensure_future(provider.send(ask(max_tokens=5)))
    await clock.advance(2.9)
    assert not task.done()
    await clock.advance(0.2)
    assert isinstance(await task, Whole)


async def test_a_stream_is_primed_with_its_first_token_and_goes_on_at_its_pace() -> None:
    clock = FakeClock()
    provider = make(clock, latency=SLOW)
    task = asyncio.ensure_future(provider.send(ask(stream=True, max_tokens=3)))
    await clock.advance(0.9)
    assert not task.done()
    await clock.advance(0.2)
    reply = await task
    assert isinstance(reply, Stream)
    assert (await anext(reply.blocks)).count(b"data: ") == 2, "the role and the first token"
    reading = asyncio.ensure_future(anext(reply.blocks))
    await clock.advance(0.3)
    assert not reading.done()
    await clock.advance(0.2)
    assert reading.done()
    await clock.advance(60)
    rest = [block async for block in reply.blocks]
    assert len(rest) == 2, "what was due meanwhile is there at once, as from a socket"


async def test_a_whole_answer_ends_at_its_deadline() -> None:
    clock = FakeClock()
    task = asyncio.ensure_future(make(clock, latency=SLOW).send(ask(deadline=clock.now + 2)))
    await clock.advance(2)
    with pytest.raises(UpstreamTimeout) as caught:
        await task
    assert caught.value.code == "upstream_timeout"


async def test_a_deadline_that_has_passed_is_noticed_without_waiting() -> None:
    clock = FakeClock()
    with pytest.raises(UpstreamTimeout):
        await make(clock, latency=SLOW).send(ask(deadline=clock.now))


BUSY = Saturating(first_token=1.0, sigma=0.0, concurrency=2)


async def test_beyond_its_room_requests_queue_first_come_first_served() -> None:
    clock = FakeClock()
    provider = make(clock, latency=BUSY)
    tasks = [asyncio.ensure_future(provider.send(ask())) for _ in range(6)]
    for served in (2, 4, 6):
        await clock.advance(1.0)
        assert [task.done() for task in tasks] == [True] * served + [False] * (6 - served)
    for task in tasks:
        await task


async def test_with_c_always_in_flight_each_takes_c_over_room_times_as_long() -> None:
    clock = FakeClock()
    provider = make(clock, latency=BUSY)
    times: list[float] = []

    async def user() -> None:
        for _ in range(6):
            started = clock.now
            await provider.send(ask())
            times.append(clock.now - started)

    users = [asyncio.ensure_future(user()) for _ in range(6)]
    await clock.advance(30)
    await asyncio.gather(*users)
    settled = times[6:]
    assert sum(settled) / len(settled) == pytest.approx(3.0, rel=0.05)


async def test_a_cancelled_request_frees_its_place_at_once() -> None:
    clock = FakeClock()
    provider = make(clock, latency=BUSY)
    running = [asyncio.ensure_future(provider.send(ask())) for _ in range(2)]
    queued = [asyncio.ensure_future(provider.send(ask())) for _ in range(2)]
    await settle()
    running[0].cancel()
    queued[0].cancel()
    await settle()
    await clock.advance(1.0)
    assert [task.done() for task in queued] == [True, True]
    assert queued[0].cancelled()
    assert isinstance(await queued[1], Whole)
    await running[1]


async def test_a_closed_stream_frees_its_place_at_once() -> None:
    clock = FakeClock()
    law = Saturating(first_token=1.0, gap=1.0, sigma=0.0, concurrency=1)
    provider = make(clock, latency=law)
    reply = await soon(clock, provider.send(ask(stream=True)), 1.0)
    assert isinstance(reply, Stream)
    await reply.blocks.aclose()
    await reply.blocks.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(reply.blocks)
    second = await soon(clock, provider.send(ask(stream=True, max_tokens=1)), 1.0)
    assert isinstance(second, Stream)
    third = asyncio.ensure_future(provider.send(ask(stream=True)))
    await read_all(second)
    await clock.advance(1.0)
    last = await third
    assert isinstance(last, Stream)
    await last.blocks.aclose()


async def test_a_stream_closed_from_elsewhere_ends_quietly() -> None:
    clock = FakeClock()
    reply = await soon(clock, make(clock, latency=SLOW).send(ask(stream=True)), 1.0)
    assert isinstance(reply, Stream)
    await anext(reply.blocks)
    reading = asyncio.ensure_future(read_all(reply))
    await settle()
    await reply.blocks.aclose()
    await clock.advance(1.0)
    assert await reading == 0


async def test_a_place_handed_to_a_request_that_is_cancelled_goes_to_the_next() -> None:
    room = Room(1, FakeClock())
    await room.enter(1e9, "upstream_timeout")
    second, third = (asyncio.ensure_future(room.enter(1e9, "upstream_timeout")) for _ in range(2))
    await settle()
    room.leave()
    second.cancel()
    await settle()
    assert second.cancelled()
    assert third.done()
    await third


async def test_waiting_in_the_queue_ends_with_deadline_or_patience() -> None:
    clock = FakeClock()
    law = Saturating(first_token=100.0, sigma=0.0, concurrency=1)
    provider = make(clock, latency=law, patience=5)
    running = asyncio.ensure_future(provider.send(ask()))
    await settle()
    impatient = asyncio.ensure_future(provider.send(ask(stream=True)))
    late = asyncio.ensure_future(provider.send(ask(deadline=clock.now + 7)))
    await clock.advance(5)
    with pytest.raises(UpstreamTimeout) as caught:
        await impatient
    assert caught.value.code == "upstream_first_byte_timeout"
    await clock.advance(2)
    with pytest.raises(UpstreamTimeout) as caught:
        await late
    assert caught.value.code == "upstream_timeout"
    await clock.advance(95)
    assert isinstance(await running, Whole)
    assert isinstance(await soon(clock, provider.send(ask()), 100), Whole)
