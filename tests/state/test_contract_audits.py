"""What every store promises about the checks of semantic hits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.audits import Audits, AuditStore, Record
from gateway.core.hit_budget import Group
from gateway.core.secret import Secret
from gateway.runtime import SystemClock
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig
from tests.fakes.redis_server import RedisServer
from tests.fakes.runtime import real_time_runtime
from tests.fakes.stores import Store, until

GROUP = Group("acme", "default", "gpt")


@pytest.fixture(params=["sqlite", "redis"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[AuditStore]]:
    """Yield one store as two processes have it."""
    names, found = count(1), []
    async with AsyncExitStack() as stack:
        for home in ("one", "two"):
            runtime = replace(real_time_runtime(), new_id=lambda: f"process-{next(names)}")
            config: SqliteConfig | RedisConfig = SqliteConfig()
            place = tmp_path
            if request.param == "redis":
                server: RedisServer = request.getfixturevalue("redis")
                prefix = f"{tmp_path.name}:"
                config = RedisConfig(url=Secret(server.url, "test"), prefix=prefix, timeout=1)
                place = tmp_path / home
            state = await stack.enter_async_context(config.open(runtime, place))
            found.append(state.audits)
        yield found


async def test_a_record_takes_the_place_of_the_revision_before_it_and_of_no_other(
    store: Store,
) -> None:
    records = store.state.audits
    first, second = Record("a", 1, b'{"x":1}'), Record("a", 2, b'{"x":"\xc3\xa9 y"}')
    assert await records.swap(second) == Record("a", 0, b"")
    assert await records.swap(first) is None
    assert await records.swap(first) == first
    assert await records.swap(second) is None
    assert await records.swap(Record("a", 2, b"{}")) == second
    assert list(await records.all()) == [second]


async def test_records_are_bounded_and_the_longest_unchanged_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("audits_memory", "audits_shared", "redis.audits"):
        monkeypatch.setattr(f"gateway.state.{module}.MOST", 5)
    records = store.state.audits
    for number in range(5):
        await records.swap(Record(f"n{number}", 1, b"{}"))
    await records.swap(Record("n0", 2, b"{}"))
    await records.swap(Record("new", 1, b"{}"))
    names = {record.name for record in await records.all()}
    assert names == {"n0", "n2", "n3", "n4", "new"}


async def test_the_other_process_knows_of_a_check_within_a_second(both: list[AuditStore]) -> None:
    here, there = (Audits(store, SystemClock.wall) for store in both)
    for audits_of in (here, there):
        await audits_of.load()
    clock = SystemClock()
    began = clock.monotonic()
    here.add(GROUP, 0.945, wrong=True)
    flushing = asyncio.create_task(here.keep_flushed(clock.sleep))
    await until(lambda: there.standing(GROUP).threshold == 0.95)
    assert clock.monotonic() - began <= 1.0
    flushing.cancel()


async def test_checks_of_both_add_up_however_they_meet(both: list[AuditStore]) -> None:
    here, there = (Audits(store, SystemClock.wall) for store in both)
    for _ in range(20):
        here.add(GROUP, 0.97, wrong=False)
        there.add(GROUP, 0.97, wrong=False)
        await asyncio.gather(here.flush(), there.flush())
    await here.flush()
    await there.flush()
    await until(lambda: here.standing(GROUP).checked == there.standing(GROUP).checked == 40)


async def test_checks_outlive_the_process(tmp_path: Path) -> None:
    for expected in (1, 2):
        async with SqliteConfig().open(real_time_runtime(), tmp_path) as state:
            known = Audits(state.audits, state.limiter.now)
            await known.load()
            known.add(GROUP, 0.97, wrong=False)
            await known.flush()
            assert known.standing(GROUP).checked == expected
