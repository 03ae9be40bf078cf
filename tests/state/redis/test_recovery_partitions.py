"""Redis that is slow, or cut off between a write and its answer: each thing counts once. C09."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.core.state import Admitted
from gateway.runtime import SystemClock
from loadtest.fault_proxy import FaultProxy, fault_proxy
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import Counted, Store, away, healthy, open_redis

USD = "acme/usd/2026-11"


@asynccontextmanager
async def behind_proxy(
    server: RedisServer, folder: Path
) -> AsyncIterator[tuple[FaultProxy, Store]]:
    async with (
        fault_proxy(server.port) as proxy,
        open_redis(folder, proxy.url, SystemClock(), timeout=0.2, connect_timeout=0.2) as store,
    ):
        yield proxy, store


async def test_c09_a_redis_that_takes_20_ms_is_used_as_it_is(
    server: RedisServer, tmp_path: Path
) -> None:
    async with (
        fault_proxy(server.port) as proxy,
        open_redis(tmp_path, proxy.url, SystemClock()) as store,
    ):
        proxy.delay = 0.01
        decisions = await asyncio.gather(
            *(store.reserve(f"r{n}", store.budget(10)) for n in range(50))
        )
        assert sum(isinstance(decision, Admitted) for decision in decisions) == 10
        assert store.state.problem() == ""


async def test_c09_a_reservation_whose_answer_was_lost_is_kept_and_charged_once(
    server: RedisServer, tmp_path: Path
) -> None:
    async with behind_proxy(server, tmp_path) as (proxy, store):
        proxy.swallow = True
        lease = (await store.admit("r", store.budget(1000, 10))).lease
        assert lease.epoch == ""
        await away(store)
        proxy.swallow = False
        await healthy(store)
        assert await store.counted(USD) == Counted(held=10)
        for _ in range(3):
            store.settle(lease, {USD: 4})
        assert await store.counted(USD) == Counted(spent=4)


async def test_c09_a_reservation_that_was_refused_here_is_given_back_there(
    server: RedisServer, tmp_path: Path
) -> None:
    async with behind_proxy(server, tmp_path) as (proxy, store):
        proxy.swallow = True
        await store.refuse("r", store.budget(1000, 500))
        await away(store)
        proxy.swallow = False
        await healthy(store)
        assert await store.counted(USD) == Counted()


async def test_c09_a_reservation_that_arrives_after_its_end_takes_nothing(
    server: RedisServer, tmp_path: Path
) -> None:
    async with behind_proxy(server, tmp_path) as (held_up, store):
        held_up.open_up.clear()
        late = (await store.admit("late", store.budget(1000, 10))).lease
        store.settle(late, {USD: 3})
        await away(store)
        held_up.open_up.set()
        await healthy(store)
        await asyncio.sleep(0.1)
        assert await store.counted(USD) == Counted(spent=3)


async def test_c09_a_reservation_that_arrives_after_its_lease_was_taken_over_takes_nothing(
    server: RedisServer, tmp_path: Path
) -> None:
    async with behind_proxy(server, tmp_path) as (proxy, store):
        held_up, proxy.open_up = proxy.open_up, asyncio.Event()
        held_up.clear()
        proxy.open_up.set()
        late = (await store.admit("late", store.budget(1000, 10))).lease
        await healthy(store)
        assert await store.counted(USD) == Counted(held=10)
        store.settle(late, {USD: 3})
        await store.state.limiter.flush()
        held_up.set()
        await asyncio.sleep(0.1)
        assert await store.counted(USD) == Counted(spent=3)


async def test_a_settlement_whose_answer_was_lost_is_not_charged_twice(
    server: RedisServer, tmp_path: Path
) -> None:
    async with behind_proxy(server, tmp_path) as (proxy, store):
        lease = (await store.admit("r", store.budget(1000, 10))).lease
        proxy.swallow = True
        store.settle(lease, {USD: 6})
        await away(store)
        proxy.swallow = False
        await healthy(store)
        assert await store.counted(USD) == Counted(spent=6)
