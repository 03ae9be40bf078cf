"""The connection: answers go to who asked, and a doubtful connection is never used again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.runtime import SystemClock
from gateway.state.redis.link import Answer, Link, Rejected, Unreachable
from gateway.state.redis.scripts import KEYS, POLL, RESERVE, SETTLE
from loadtest.fault_proxy import fault_proxy
from tests.fakes.redis_server import RedisServer

PREFIX = "link-test:"


@asynccontextmanager
async def linked(url: str, *, connect: bool = True) -> AsyncIterator[Link]:
    link = Link(url, PREFIX, 0.2, 1.0, SystemClock())
    working = asyncio.get_running_loop().create_task(link.work())
    try:
        if connect:
            await link.connect()
            link.epoch = (await link.ask(POLL, "test")).split(" ")[0]
        yield link
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def test_answers_go_to_who_asked_although_others_have_left(redis: RedisServer) -> None:
    async with linked(redis.url) as link:

        async def ask(number: int) -> tuple[str, str]:
            name = f"lease-{number}"
            return name, await link.ask(SETTLE, name, "acme", "", "settle", "{}", "[]")

        tasks = [asyncio.ensure_future(ask(number)) for number in range(500)]
        for turn, task in enumerate(tasks):
            if turn % 3 == 0:
                task.cancel()
            if turn % 50 == 0:
                await asyncio.sleep(0)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        told = [answer for answer in answers if isinstance(answer, tuple)]
        assert len(told) >= 300
        assert all(answer == f"ok {name}" for name, answer in told)


async def test_without_a_connection_a_call_fails_at_once_and_was_not_sent(
    redis: RedisServer,
) -> None:
    async with linked(redis.url, connect=False) as link:
        with pytest.raises(Unreachable) as failed:
            await link.ask(POLL, "x")
        assert not failed.value.sent


async def test_a_connection_that_gave_no_answer_in_time_is_closed(redis: RedisServer) -> None:
    async with fault_proxy(redis.port) as proxy, linked(proxy.url) as link:
        proxy.open_down.clear()
        asked = [asyncio.ensure_future(link.ask(POLL, "x"))]
        await asyncio.sleep(0.05)
        asked += [asyncio.ensure_future(link.ask(POLL, "x")) for _ in range(3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [getattr(answer, "sent", None) for answer in answers] == [True, False, False, False]
        assert not link.connected
        proxy.open_down.set()
        await link.connect()
        assert (await link.ask(POLL, "x")).startswith(link.epoch)


async def test_a_call_that_makes_no_sense_is_rejected_alone(redis: RedisServer) -> None:
    async with linked(redis.url) as link:
        asked = [link.ask(POLL, "x"), link.ask(RESERVE, "id", "acme", 1, 0, "{"), link.ask(KEYS)]
        first, second, third = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(second, Rejected)
        assert (str(first).split(" ")[0], third) == (link.epoch, "0")
        assert link.connected


async def test_what_was_put_is_carried_before_what_is_asked_later(redis: RedisServer) -> None:
    heard: list[Answer] = []
    async with linked(redis.url) as link:
        link.put(SETTLE, "a", "acme", "", "settle", "{}", "[]", done=heard.append)
        await link.ask(POLL, "x")
        assert heard == ["ok a"]


async def test_what_nobody_waits_for_is_carried_soon(redis: RedisServer) -> None:
    heard = asyncio.get_running_loop().create_future()
    async with linked(redis.url) as link:
        link.put(SETTLE, "a", "acme", "", "settle", "{}", "[]", done=heard.set_result)
        assert await asyncio.wait_for(heard, 2) == "ok a"


async def test_when_the_link_ends_everybody_is_told(redis: RedisServer) -> None:
    async with fault_proxy(redis.port) as proxy:
        async with linked(proxy.url) as link:
            proxy.open_down.clear()
            asked = [asyncio.ensure_future(link.ask(POLL, "x"))]
            await asyncio.sleep(0.05)
            asked.append(asyncio.ensure_future(link.ask(POLL, "x")))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(answer, "sent", None) for answer in answers] == [True, False]


@pytest.mark.parametrize(
    "url", ["redis://:a-wrong-password@127.0.0.1:{port}/0", "redis://127.0.0.1:1"]
)
async def test_a_server_that_cannot_be_used_is_named_without_its_password(
    redis: RedisServer, url: str
) -> None:
    async with linked(url.format(port=redis.port), connect=False) as link:
        with pytest.raises(Unreachable) as failed:
            await link.connect()
    assert "a-wrong-password" not in str(failed.value)
    assert not failed.value.sent


async def test_connecting_can_be_cancelled(redis: RedisServer) -> None:
    async with fault_proxy(redis.port) as proxy, linked(proxy.url, connect=False) as link:
        proxy.open_down.clear()
        connecting = asyncio.ensure_future(link.connect())
        await asyncio.sleep(0.05)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert not link.connected
