"""Streams in lock-step: an upstream that waits until the client has what it said."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from tests.fakes import answers
from tests.fakes.raw_client import connect
from tests.fakes.upstream import Answer, Part, Received, sse_reply
from tests.journeys.journey import LIMIT, QUADRANTS, Journey, complete, open_journey

WORDS = ("one ", "two ", "three ", "four ", "five ")


class LockStep:
    """Streams whose every event is sent when the client has told that the last one has come."""

    def __init__(self, dialect: str) -> None:
        self.events = answers.events(dialect, WORDS)
        self.first = 3 if dialect == "anthropic" else 2
        """Events until the first word is out."""
        self.gates: dict[str, list[asyncio.Event]] = {}

    def __call__(self, request: Received) -> Answer:
        [name] = re.findall(rb"user-[0-9]+", request.body)
        self.gates[name.decode()] = gates = [asyncio.Event() for _ in WORDS]
        parts: list[Part] = [*self.events[: self.first]]
        for gate, word in zip(gates, self.events[self.first :], strict=False):
            parts += [gate, word]
        return sse_reply([*parts, *self.events[self.first + len(WORDS) :]])


async def follow(
    journey: Journey, upstream: LockStep, caller: str, name: str, port: int = 0
) -> bytes:
    """Read one stream, letting the upstream go on only when a word has come."""
    async with connect(port or journey.gateway.port) as client:
        client.send(journey.request(caller, messages=[{"role": "user", "content": name}]))
        status, _ = await client.head()
        assert status == 200
        got = b""
        for number, word in enumerate(WORDS):
            while word.strip().encode() not in got:
                got += await client.chunk()
            upstream.gates[name][number].set()
        async for rest in client.chunks():
            got += rest
    return got


async def followed(caller: str, provider: str, names: Sequence[str]) -> list[bytes]:
    upstream = LockStep(provider)
    async with asyncio.timeout(LIMIT), open_journey(upstream, provider) as journey:
        return await asyncio.gather(*(follow(journey, upstream, caller, n) for n in names))


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_no_event_waits_for_the_next_one(caller: str, provider: str) -> None:
    """E12: through the whole gateway; held back for one event, it would never end."""
    [body] = await followed(caller, provider, ["user-0"])
    assert complete(body, caller)


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_no_event_waits_among_200_streams(caller: str) -> None:
    """E12: nor for the events of other streams."""
    bodies = await followed(caller, caller, [f"user-{n}" for n in range(200)])
    assert len(bodies) == 200
    assert all(complete(body, caller) for body in bodies)
