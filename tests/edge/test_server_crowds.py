"""Many connections that do nothing good, and good requests beside them."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.settings import Limits
from tests.fakes.raw_client import CHAT, RawClient, connect, get, post
from tests.fakes.service import House, open_house

PATIENCE = 20
SLOW = post()[: -len(CHAT) - 2]
"""All of a request's head but its last line."""


def need_descriptors(count: int) -> None:
    """Skip where both ends of so many connections cannot be open in one process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 2 * count + 200:
        pytest.skip(f"{count} connections need more than the {soft} descriptors allowed here")


@asynccontextmanager
async def crowd(house: House, count: int) -> AsyncIterator[list[RawClient]]:
    """Keep so many connections open, all of them accepted."""
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
        clients = []
        for _ in range(0, count, 100):
            opening = (stack.enter_async_context(connect(house.port)) for _ in range(100))
            clients += await asyncio.gather(*opening)
        await until_open(house, count)
        yield clients


async def until_open(house: House, count: int) -> None:
    while len(house.edge.connections_open) != count:
        await asyncio.sleep(0.005)


async def good(house: House) -> int:
    async with connect(house.port) as client:
        return (await client.ask(post())).status


@pytest.mark.parametrize("count", [300, pytest.param(3000, marks=pytest.mark.long)])
async def test_headers_that_drip_on_many_connections_harm_no_other_request(count: int) -> None:
    """D09: a byte every second keeps none of them longer than 10 s."""
    need_descriptors(count)
    async with open_house(limits=Limits(header=10)) as house, crowd(house, count) as clients:
        for client in clients:
            client.send(SLOW[:20])
        while not all(c._head for c in house.edge.connections_open):
            await asyncio.sleep(0.005)
        for second in range(9):
            for client in clients:
                client.send(SLOW[20 + second : 21 + second])
            assert await good(house) == 200
            await until_open(house, count)
            await house.clock.advance(1)
        assert len(house.edge.connections_open) == count
        await house.clock.advance(1)
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert {answer.status for answer in answers} == {408}
        assert await asyncio.gather(*(client.closed() for client in clients)) == [b""] * count
        assert await good(house) == 200
    assert len(house.chain.exchanges) == 10
    assert len(house.outcomes) == count + 10


@pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.long)])
async def test_many_silent_connections_are_closed_after_10_seconds(count: int) -> None:
    """D12."""
    need_descriptors(count)
    async with open_house() as house, crowd(house, count) as clients:
        assert await good(house) == 200
        await until_open(house, count)
        await house.clock.advance(9)
        assert len(house.edge.connections_open) == count
        await house.clock.advance(1)
        assert await asyncio.gather(*(client.closed() for client in clients)) == [b""] * count
        await until_open(house, 0)
        assert await good(house) == 200
    assert len(house.outcomes) == 2


@pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.long)])
async def test_many_kept_connections_are_closed_after_60_idle_seconds(count: int) -> None:
    """D12."""
    need_descriptors(count)
    async with open_house() as house, crowd(house, count) as clients:
        for client in clients:
            client.send(get("/livez"))
        for client in clients:
            assert (await client.answer()).status == 200
        await house.clock.advance(59)
        assert len(house.edge.connections_open) == count
        assert await good(house) == 200
        await house.clock.advance(1)
        assert await asyncio.gather(*(client.closed() for client in clients)) == [b""] * count
