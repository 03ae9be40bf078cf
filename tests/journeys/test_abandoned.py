"""Clients that leave: the provider is let go of at once, and it is noted once."""

import asyncio
import sys
from collections.abc import Sequence
from typing import overload

import pytest

from tests.fakes import answers
from tests.fakes.upstream import STALL, Answer, Part, raw_reply, sse_reply
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
    script = [answers.stream(provider, keep=3, then=[STALL])]
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


CLIENT = """
import socket, sys, time
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
line.sendall(bytes.fromhex(sys.argv[2]))
if sys.argv[3] == "middle":
    line.recv(1)
print("here", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("when", ["middle", "before"])
@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_a_client_whose_process_is_killed(caller: str, when: str) -> None:
    """E03: nobody is left to say goodbye, so the kernel says it."""
    script = [answers.stream(caller, keep=3 if when == "middle" else 1, then=[STALL])]
    async with asyncio.timeout(LIMIT), open_journey(script, caller) as journey:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CLIENT, str(journey.gateway.port)),
            *(journey.request(caller).hex(), when),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"here\n"
        await journey.upstream.until_received()
        process.kill()
        await journey.upstream.until_closed()
        await journey.until_quiet()
        await process.communicate()
    event = journey.event
    assert (event["status"], event["code"], event["fault"]) == (499, "client_gone", "caller")
    assert (event["stream_end"] == "client_gone") == (when == "middle")


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_tokens_that_are_known_when_the_client_leaves_are_noted(caller: str) -> None:
    """E01: settled with what the provider had said by then; OpenAI's say nothing before the end."""
    script = [answers.stream("anthropic", keep=3, then=[STALL])]
    async with (
        asyncio.timeout(LIMIT),
        open_journey(script, "anthropic") as journey,
        journey.client() as client,
    ):
        client.send(journey.request(caller))
        await client.head()
        assert await client.chunk()
        client.vanish()
    assert journey.event["stream_end"] == "client_gone"
    assert journey.event["tokens_in"] == 9


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("leave", ["fin", "reset", "half_close"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_client_that_leaves_before_the_first_token(
    caller: str, provider: str, leave: str, stream: bool
) -> None:
    """E02, E03: the same, though nothing was written yet."""
    silent = answers.stream(provider, keep=1, then=[STALL]) if stream else raw_reply(HALF)
    async with (
        asyncio.timeout(LIMIT),
        open_journey([silent], provider) as journey,
        journey.client() as client,
    ):
        client.send(journey.request(caller, stream=stream))
        await journey.upstream.until_received()
        goodbye = {"fin": client.vanish, "reset": client.reset, "half_close": client.half_close}
        goodbye[leave]()
        await journey.upstream.until_closed()
        await journey.until_quiet()
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


class Firehose(Sequence[Part]):
    """A stream of 64 MiB that knows how much of it was taken."""

    def __init__(self, start: Part, event: bytes) -> None:
        self.start = start
        self.event = b"%x\r\n%b\r\n" % (len(event), event)
        self.taken = 0

    def __len__(self) -> int:
        return (64 << 20) // len(self.event)

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Part]: ...
    def __getitem__(self, index: int | slice) -> Part | Sequence[Part]:
        assert isinstance(index, int)
        if index >= len(self):
            raise IndexError
        self.taken = max(self.taken, index * len(self.event))
        return self.event if index else self.start


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_client_that_stops_reading_holds_the_provider_back(
    caller: str, provider: str
) -> None:
    """E04, D11: what is not read is not fetched; then the client is cut off, the provider too."""
    start, *_ = sse_reply([]).parts
    first = b"".join(answers.events(provider)[:2])
    delta = answers.events(provider, ("x" * 30_000,))[1 if provider == "openai" else 2]
    hose = Firehose(start, first + delta)
    async with (
        asyncio.timeout(LIMIT),
        open_journey([Answer(hose)], provider, limits={"write_stall": 1}) as journey,
        journey.client(window=4096) as client,
    ):
        client.send(journey.request(caller))
        await client.head()
        await journey.upstream.until_closed()
        await journey.until_quiet()
    # What both ends' kernels hold for loopback is most of it; the gateway's own part is 256 KiB.
    assert hose.taken < 16 << 20
    assert journey.event["bytes_out"] < 4 << 20
    assert (journey.event["code"], journey.event["stream_end"]) == ("client_gone", "client_gone")
