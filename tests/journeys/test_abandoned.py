"""Clients that leave: the provider is let go of at once, and it is noted once."""

import asyncio

import pytest

from tests.fakes import answers
from tests.fakes.upstream import STALL, Part, raw_reply
from tests.journeys.journey import LIMIT, QUADRANTS, open_journey

HALF: list[Part] = [
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"',
    STALL,
]


@pytest.mark.parametrize("leave", ["fin", "reset", "half_close"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_client_that_leaves_in_the_middle_of_a_stream(
    caller: str, provider: str, leave: str
) -> None:
    """E01, E03, D14: the upstream's socket is closed, the slot is free, one event says so."""
    script = [answers.stream(provider, keep=4, then=[STALL])]
    async with open_journey(script, provider) as journey:
        async with asyncio.timeout(LIMIT), journey.client() as client:
            client.send(journey.request(caller))
            status, _ = await client.head()
            assert status == 200
            assert await client.chunk()
            goodbye = {"fin": client.vanish, "reset": client.reset, "half_close": client.half_close}
            goodbye[leave]()
            await journey.upstream.until_closed()
        await journey.until_quiet()
    event = journey.event
    assert (event["stream_end"], event["code"], event["status"]) == (
        "client_gone",
        "client_gone",
        499,
    )
    assert event["fault"] == "caller"
    assert event["bytes_out"] > 0
    if provider == "anthropic":
        assert event["tokens_in"] == 9


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("leave", ["fin", "reset", "half_close"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_client_that_leaves_before_the_first_token(
    caller: str, provider: str, leave: str, stream: bool
) -> None:
    """E02, E03: the same, though nothing was written yet."""
    silent = answers.stream(provider, keep=1, then=[STALL]) if stream else raw_reply(HALF)
    async with open_journey([silent], provider) as journey:
        async with asyncio.timeout(LIMIT), journey.client() as client:
            client.send(journey.request(caller, stream=stream))
            await journey.upstream.until_received()
            goodbye = {"fin": client.vanish, "reset": client.reset, "half_close": client.half_close}
            goodbye[leave]()
            await journey.upstream.until_closed()
    event = journey.event
    assert (event["status"], event["code"], event["stream_end"]) == (499, "client_gone", None)
    assert (event["bytes_out"], event["ttft_ms"]) == (0, None)


async def test_a_client_that_leaves_after_the_end_is_no_abandoned_one() -> None:
    """E01: what was complete stays complete, and its connection is used again."""
    async with open_journey([answers.stream("openai")]) as journey:
        await journey.ask()
        await journey.ask()
    assert [e["stream_end"] for e in journey.events] == ["done", "done"]
    assert journey.upstream.connections == 1


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.long)])
async def test_many_abandoned_streams_leave_nothing_behind(count: int) -> None:
    """E13: nothing in flight, every slot of the pool free, every socket to the upstream closed."""
    stalled = answers.stream("openai", keep=3, then=[STALL])
    last = answers.stream("openai")

    async def abandon() -> None:
        async with journey.client() as client:
            client.send(journey.request())
            await client.head()
            await client.chunk()

    total = {"total_connections": 100}
    script = [stalled] * count + [last]
    async with open_journey(script, transport=total) as journey:
        async with asyncio.timeout(50):
            for _ in range(count // 100):
                await asyncio.gather(*[abandon() for _ in range(100)])
            await journey.upstream.until_closed(count)
        await journey.until_quiet()
        answer = await journey.ask()
        assert answer.status == 200
    ends = [event["stream_end"] for event in journey.events]
    assert ends == ["client_gone"] * count + ["done"]
