"""Overload as a client and an operator see it: through the door, over real sockets."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.overload import percentile
from tests.fakes.raw_client import Answer, connect, get, post

FREE = {"input": 0, "output": 0}


def body(stream: bool = True, **more: Any) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    return json.dumps({"model": "m", "stream": stream, "messages": messages, **more}).encode()


@asynccontextmanager
async def crowded(latency: dict[str, Any], **rule: Any) -> AsyncIterator[OpenGateway]:
    """A gateway in front of one simulated model."""
    provider = {"kind": "simulated", "latency": latency, "concurrency": rule}
    async with open_test_gateway(
        providers={"sim": provider}, models={"m": {"provider": "sim", "price": FREE}}
    ) as running:
        yield running


@asynccontextmanager
async def one_place(queue: int) -> AsyncIterator[tuple[OpenGateway, AsyncExitStack]]:
    """A target with one place, which a stream holds until the stack is closed."""
    slowly = {"law": "fixed", "gap": 3600}
    async with (
        crowded(slowly, max=1, adaptive=False, queue=queue) as running,
        AsyncExitStack() as holder,
    ):
        client = await holder.enter_async_context(connect(running.gateway.port))
        client.send(post(body()))
        status, headers = await client.head()
        assert (status, headers.get("x-turnout-queue-ms")) == (200, None)
        yield running, holder


async def ask(port: int, data: bytes) -> Answer:
    async with connect(port) as client:
        return await client.ask(data)


async def gauge(running: OpenGateway, part: str) -> float:
    text = (await ask(running.gateway.admin_port, get("/metrics"))).body.decode()
    line = f'turnout_target_{part}{{model="m",provider="sim"}} '
    [value] = [v.removeprefix(line) for v in text.splitlines() if v.startswith(line)]
    return float(value)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_g01_without_room_a_caller_is_told_at_once_and_when_to_come_back() -> None:
    async with one_place(queue=0) as (running, _):
        openai = await ask(running.gateway.port, post(body()))
        assert (openai.status, openai.code) == (503, "overloaded")
        assert 1 <= int(openai.headers["retry-after"]) <= 60
        assert 0 < int(openai.headers["retry-after-ms"]) <= 60_000
        anthropic = await ask(running.gateway.port, post(body(max_tokens=9), "/v1/messages"))
        assert (anthropic.status, anthropic.json["error"]["type"]) == (529, "overloaded_error")
        assert "retry-after" in anthropic.headers
        await until(lambda: _logged(running, 2))
        refused = [event for event in running_events(running) if event["code"] == "overloaded"]
    assert [event["attempts"] for event in refused] == [0, 0]
    assert {event["fault"] for event in refused} == {"gateway"}


async def test_a_request_that_waits_is_sent_when_a_place_gets_free_and_says_so() -> None:
    async with one_place(queue=1) as (running, holder), connect(running.gateway.port) as client:
        client.send(post(body()))

        async def waits() -> bool:
            return await gauge(running, "waiting") == 1

        await until(waits)
        await holder.aclose()
        status, headers = await client.head()
        assert status == 200
        assert float(headers["x-turnout-queue-ms"]) > 0
        assert float(headers["x-turnout-queue-ms"]) < 10_000
        assert (await gauge(running, "in_use"), await gauge(running, "limit")) == (1, 1)


async def test_g02_a_client_that_leaves_the_queue_is_never_sent() -> None:
    async with one_place(queue=1) as (running, holder):
        async with connect(running.gateway.port) as client:
            client.send(post(body()))

            async def waits() -> bool:
                return await gauge(running, "waiting") == 1

            await until(waits)

        async def nobody_waits() -> bool:
            return await gauge(running, "waiting") == 0

        await until(nobody_waits)
        await holder.aclose()

        async def idle() -> bool:
            return await gauge(running, "in_use") == 0

        await until(idle)
        await until(lambda: _logged(running, 2))
        gone, held = sorted(running_events(running), key=lambda event: event["attempts"])
    assert (gone["attempts"], gone["status"], gone["code"]) == (0, 499, "client_gone")
    assert held["attempts"] == 1


async def test_g02_time_in_the_queue_counts_against_the_deadline() -> None:
    async with one_place(queue=9) as (running, _):
        answer = await ask(running.gateway.port, post(body(), x_turnout_deadline_ms="150"))
        assert answer.code in {"overloaded", "deadline_exceeded"}
        assert await gauge(running, "waiting") == 0


async def test_g07_health_and_the_admin_listener_answer_while_requests_are_shed() -> None:
    async with one_place(queue=0) as (running, _):
        for _ in range(20):
            assert (await ask(running.gateway.port, post(body()))).status == 503
        assert (await ask(running.gateway.port, get("/livez"))).json == {"alive": True}
        ready = await ask(running.gateway.port, get("/readyz"))
        assert (ready.status, ready.json["ready"]) == (200, True)
        assert (await ask(running.gateway.admin_port, get("/readyz"))).status == 200
        assert (await ask(running.gateway.admin_port, get("/livez"))).status == 200


def running_events(running: OpenGateway) -> list[dict[str, Any]]:
    return [event for event in running.events() if "request_id" in event]


async def _logged(running: OpenGateway, count: int) -> bool:
    events = await asyncio.to_thread(running_events, running)
    return len(events) >= count


@pytest.mark.long
async def test_g01_ten_times_too_many_in_real_time() -> None:
    """G01, G07: 10 places of 0.5 s, so 20 requests/s; 200/s come for 20 s."""
    law = {"law": "saturating", "first_token": 0.5, "gap": 0.0, "sigma": 0.1, "concurrency": 10}
    took: dict[int, list[float]] = {200: [], 503: []}
    live: list[float] = []

    async def visit(port: int, data: bytes, kept: Callable[[Answer, float], None]) -> None:
        begun = time.monotonic()
        async with connect(port) as client:
            kept(await client.ask(data), time.monotonic() - begun)

    async with crowded(law, queue=20) as running:
        port, begun = running.gateway.port, time.monotonic()
        tasks = []
        for number in range(4_000):
            await asyncio.sleep(max(0.0, begun + number / 200 - time.monotonic()))
            tasks.append(
                asyncio.ensure_future(
                    visit(port, post(body(False)), lambda a, s: took[a.status].append(s))
                )
            )
            if number % 20 == 0:
                health = visit(port, get("/livez"), lambda _, s: live.append(s))
                tasks.append(asyncio.ensure_future(health))
        await asyncio.gather(*tasks)
        spent = time.monotonic() - begun
    sys.stdout.write(
        f"G01 in real time: {len(took[200]) / spent:.1f} answers/s of 20; {len(took[503])} refused,"
        f" p99 {percentile(took[503], 0.99) * 1000:.0f} ms; G07: /livez p99"
        f" {percentile(live, 0.99) * 1000:.0f} ms\n"
    )
    assert len(took[200]) / spent >= 0.9 * 20
    assert percentile(took[503], 0.99) < 0.05
    assert percentile(live, 0.99) < 0.05
