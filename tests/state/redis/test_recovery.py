"""Redis that is gone, frozen, emptied or restarted: answers go on, and the sums come right."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.state import Admitted, Refused
from gateway.runtime import SystemClock
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import AWAY, Counted, away, healthy, open_redis, rate, slots, until
from tests.state.test_contract_keys import key

USD = "acme/usd/2026-11"
BACK = "redis answers again"


def metered(folder: Path) -> int:
    """Return what a node's file says it charged."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return int(connection.execute("SELECT coalesce(sum(spent), 0) FROM meter").fetchone()[0])


async def test_c06_without_redis_at_start_it_answers_from_a_local_lease(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(server.kill)
    async with open_redis(tmp_path, server.url, SystemClock()) as store:
        assert AWAY in store.state.problem()
        decisions = [await store.reserve(f"r{n}", store.budget(1000)) for n in range(20)]
        admitted = [d.lease for d in decisions if isinstance(d, Admitted)]
        assert len(admitted) == 10
        await store.admit("free", rate(5), slots(5))
        for lease in admitted[:4]:
            store.settle(lease, {})
        await asyncio.to_thread(server.start)
        await healthy(store)
        assert store.state.problem() == ""
        assert await store.counted(USD) == Counted(spent=4, held=6)
        for lease in admitted:
            store.settle(lease, {})
        assert await store.counted(USD) == Counted(spent=10)
        assert await store.counted("acme/slots") == Counted(held=1)
    assert caplog.text.count(AWAY) == caplog.text.count(BACK) == 1


async def test_c06_the_keys_of_a_former_run_are_known_without_redis(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url) as store:
        await store.state.keys.create(key(1))
    await asyncio.to_thread(server.kill)
    async with open_redis(tmp_path, server.url) as store:
        assert [found.id for found in await store.state.keys.all()] == ["key-1"]


async def test_c07_while_redis_is_frozen_requests_are_answered_and_charged_once(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_redis(
        tmp_path, server.url, SystemClock(), timeout=0.2, connect_timeout=0.2
    ) as store:
        before = (await store.admit("before", store.budget(10_000, 10))).lease
        server.freeze()
        try:
            leases = [
                (await store.admit(f"r{n}", store.budget(10_000, 1))).lease for n in range(50)
            ]
            await away(store)
            for lease in (before, *leases[:20]):
                store.settle(lease, {})
        finally:
            server.thaw()
        await healthy(store)
        for lease in leases:
            store.settle(lease, {})
        assert await store.counted(USD) == Counted(spent=60)
    assert caplog.text.count(AWAY) == caplog.text.count(BACK) == 1


@pytest.mark.long
async def test_c07_how_long_anybody_waits_while_redis_is_frozen(
    server: RedisServer, tmp_path: Path
) -> None:
    """100 requests a second, frozen for 10 seconds: who waits how long, and when is it back."""
    clock = SystemClock()
    async with open_redis(tmp_path, server.url, clock, timeout=0.05) as store:
        waits: list[tuple[float, float]] = []

        async def ask(number: int) -> None:
            began = clock.monotonic()
            decision = await store.reserve(f"r{number}", store.budget(1 << 40, 1))
            waits.append((began, clock.monotonic() - began))
            if isinstance(decision, Admitted):
                store.settle(decision.lease, {})

        async def load(seconds: float) -> None:
            tasks: list[asyncio.Task[None]] = []
            for _ in range(int(seconds * 100)):
                tasks.append(asyncio.ensure_future(ask(len(waits) + len(tasks))))
                await asyncio.sleep(0.01)
            await asyncio.gather(*tasks)

        await load(2)
        usual = sorted(wait for _, wait in waits)
        waits.clear()
        frozen = clock.monotonic()
        server.freeze()
        await load(10)
        first = sorted(wait for began, wait in waits if began < frozen + 1)
        later = sorted(wait for began, wait in waits if began >= frozen + 1)
        server.thaw()
        thawed = clock.monotonic()
        await healthy(store)
        back = clock.monotonic() - thawed
        assert await store.counted(USD) == Counted(spent=200 + len(waits))
    sys.stdout.write(
        f"C07: usually p99 {usual[-2] * 1e3:.1f} ms; frozen, first second p99 {first[-2] * 1e3:.1f}"
        f" ms, then p99 {later[-10] * 1e3:.2f} ms; back {back:.2f} s after it went on\n"
    )
    assert first[-2] < 0.1
    assert later[-10] < 0.001
    assert back < 2


async def test_c08_an_emptied_redis_is_rebuilt_from_what_every_node_charged(
    server: RedisServer, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with (
        open_redis(tmp_path / "one", server.url, SystemClock(), prefix="t:") as one,
        open_redis(tmp_path / "two", server.url, SystemClock(), prefix="t:") as two,
    ):
        await one.state.keys.create(key(1))
        for number, store in enumerate((one, two, two)):
            lease = (await store.admit(f"r{number}", store.budget(100, 20))).lease
            store.settle(lease, {})
        flying = (await two.admit("flying", two.budget(100, 30))).lease
        await one.state.limiter.flush()
        await two.state.limiter.flush()
        await asyncio.to_thread(server.command, "FLUSHALL")
        while_rebuilt = [
            await s.reserve(f"x{n}", s.budget(100, 5)) for n, s in enumerate((one, two))
        ]
        assert [type(decision) for decision in while_rebuilt] == [Refused, Refused]
        await healthy(one)
        await healthy(two)
        await two.state.limiter.flush()
        assert await one.counted(USD) == Counted(spent=60, held=30)
        await one.refuse("too much", one.budget(100, 11))
        two.settle(flying, {USD: 7})
        assert await two.counted(USD) == Counted(spent=67)
        assert [found.id for found in await two.state.keys.all()] == ["key-1"]


async def test_c08_two_workers_of_one_node_bring_its_part_once(
    server: RedisServer, tmp_path: Path
) -> None:
    async with (
        open_redis(tmp_path, server.url, SystemClock()) as one,
        open_redis(tmp_path, server.url, SystemClock()) as two,
    ):
        await healthy(two)
        for number, store in enumerate((one, two)):
            lease = (await store.admit(f"r{number}", store.budget(100, 20))).lease
            store.settle(lease, {})
            await store.state.limiter.flush()
        await until(lambda: metered(tmp_path) == 40)
        await asyncio.to_thread(server.command, "FLUSHALL")
        for store in (one, two):
            await store.reserve("noticed", store.budget(100, 50))
        await healthy(one)
        await healthy(two)
        assert await one.counted(USD) == Counted(spent=40)


async def test_c08_a_redis_that_was_killed_and_comes_back_empty_is_rebuilt(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url, SystemClock()) as store:
        for number in range(3):
            lease = (await store.admit(f"r{number}", store.budget(1000, 100))).lease
            store.settle(lease, {USD: 50})
        await store.state.limiter.flush()
        await asyncio.to_thread(server.kill)
        await away(store)
        local = (await store.admit("local", store.budget(1000, 10))).lease
        store.settle(local, {USD: 9})
        await asyncio.to_thread(server.start)
        await healthy(store)
        assert await store.counted(USD) == Counted(spent=159)


async def test_c08_a_node_that_was_away_meanwhile_brings_its_part_when_it_starts(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url) as store:
        lease = (await store.admit("r", store.budget(100, 70))).lease
        store.settle(lease, {})
    await asyncio.to_thread(server.command, "FLUSHALL")
    for _ in range(2):
        async with open_redis(tmp_path, server.url, SystemClock()) as store:
            await healthy(store)
            assert await store.counted(USD) == Counted(spent=70)


async def test_what_is_lowered_while_redis_is_away_counts_when_it_is_back(
    server: RedisServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(server.kill)
    async with open_redis(tmp_path, server.url, SystemClock()) as store:
        lease = (await store.admit("r", store.budget(1000, 10))).lease
        store.lower(lease, {USD: 4})
        await asyncio.to_thread(server.start)
        await healthy(store)
        assert await store.counted(USD) == Counted(held=4)
        store.settle(lease, {})
        assert await store.counted(USD) == Counted(spent=4)


async def test_scripts_that_the_server_forgot_are_loaded_again(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url, SystemClock()) as store:
        await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")
        await store.admit("r", store.budget(1000, 10))
        await healthy(store)
        assert (await store.admit("s", store.budget(1000, 500))).lease.epoch
        assert await store.counted(USD) == Counted(held=510)


async def test_a_redis_that_fails_again_and_again_is_left_alone_for_a_while(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url, SystemClock()) as store:
        for number in range(6):
            await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")
            await store.admit(f"r{number}", store.budget(10_000, 1))
            await asyncio.sleep(0.05)
        assert store.state.limiter.down  # type: ignore[attr-defined]  # this kind's
        await healthy(store)
        assert await store.counted(USD) == Counted(held=6)
