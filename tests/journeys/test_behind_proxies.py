"""Behind nginx and haproxy: both sides count the same requests, and streams are not held back."""

import asyncio

import pytest

from tests.fakes import answers
from tests.fakes.proxies import KINDS, open_proxy
from tests.fakes.raw_client import connect, get
from tests.fakes.smuggling import SMUGGLING
from tests.fakes.upstream import Answer, Received, sse_reply
from tests.journeys.journey import CLIENT_KEY, LIMIT, Journey, complete, open_journey
from tests.journeys.test_abandoned import Firehose
from tests.journeys.test_lock_step import LockStep, follow

CHANCE = "chunk extension of 20 KB"
"""haproxy gives it up while passing it on: whether the gateway saw its head is chance."""
KEY = f"authorization: Bearer {CLIENT_KEY}\r\n".encode()


def echo(request: Received) -> Answer:
    return answers.whole("openai", request.json["messages"][0]["content"])


async def smuggle(port: int, name: str) -> bytes:
    """Send it with a second request behind it, and return all that comes back within a while."""
    host = b"host: localhost\r\n"
    hidden = get("/v1/models", authorization=f"Bearer {CLIENT_KEY}")
    got = b""
    async with connect(port) as client:
        client.send(SMUGGLING[name].replace(host, host + KEY) + hidden)
        try:
            async with asyncio.timeout(0.5):
                while part := await client.reader.read(1 << 16):
                    got += part
        except (TimeoutError, ConnectionError):
            pass
    return got


async def ask(journey: Journey, port: int, words: str) -> str:
    """Ask through the proxy on a connection of one's own; return what is said."""
    request = journey.request(stream=False, messages=[{"role": "user", "content": words}])
    async with asyncio.timeout(LIMIT), connect(port) as client:
        answer = await client.ask(request)
    assert answer.status == 200, answer
    said: str = answer.json["choices"][0]["message"]["content"]
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
async def test_a_proxy_and_the_gateway_count_the_same_requests(name: str) -> None:
    """D01: whatever the proxy makes of it, no request hides in another one."""
    words = [f"these are words {n}" for n in range(40)]
    async with open_journey(echo) as journey:
        async with open_proxy(name, journey.gateway.port) as proxy:
            samples = [sample for sample in SMUGGLING if sample != CHANCE]
            smuggled = asyncio.gather(*(smuggle(proxy.port, sample) for sample in samples))
            said = await asyncio.gather(*(ask(journey, proxy.port, text) for text in words[:20]))
            await smuggled
            said += [await ask(journey, proxy.port, text) for text in words[20:]]
            await journey.until_quiet()
        assert said == words
        journey.asked = proxy.forwarded  # the journey compares it with what the gateway counted
        assert proxy.forwarded >= len(words)


@pytest.mark.slow
@pytest.mark.parametrize("caller", ["openai", "anthropic"])
@pytest.mark.parametrize("name", KINDS)
async def test_a_stream_passes_a_proxy_event_by_event(name: str, caller: str) -> None:
    """E12: in lock-step; a proxy that waited for more would wait for ever."""
    upstream = LockStep(caller)
    async with (
        asyncio.timeout(LIMIT),
        open_journey(upstream, caller) as journey,
        open_proxy(name, journey.gateway.port) as proxy,
    ):
        bodies = await asyncio.gather(
            *(follow(journey, upstream, caller, f"user-{n}", proxy.port) for n in range(20))
        )
    assert all(complete(body, caller) for body in bodies)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
async def test_a_reader_that_stalls_behind_a_proxy_holds_the_provider_back(name: str) -> None:
    """E04: a proxy that buffers would take all of it; nginx is told not to, by a header."""
    start, *_ = sse_reply([]).parts
    events = answers.events("openai", ("x" * 30_000,))
    hose = Firehose(start, events[0] + events[1])
    async with (
        asyncio.timeout(LIMIT),
        open_journey([Answer(hose)], limits={"write_stall": 1}) as journey,
        open_proxy(name, journey.gateway.port) as proxy,
        connect(proxy.port, window=4096) as client,
    ):
        client.send(journey.request())
        await client.head()
        await journey.upstream.until_closed()
        await journey.until_quiet()
    assert hose.taken < 24 << 20
    assert journey.event["code"] == "client_gone"
