"""What every store promises about notices of targets' health."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.bulletin import LONGEST, Notice
from gateway.runtime import SystemClock
from tests.fakes.bulletins import DOWN, PAUSED, Process, processes
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import Store, until

DENIED = Notice("denied", "acme", "", 20.0, "5ecae7")


@pytest.fixture(params=["sqlite", "redis"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Process]]:
    url = ""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        await asyncio.to_thread(server.command, "FLUSHALL")
        url = server.url
    async with processes(request.param, tmp_path, url) as found:
        yield found


async def test_what_a_process_posts_comes_back_to_it_in_no_store(store: Store) -> None:
    process = Process(store.state.bulletin)
    process.post(DOWN)
    for _ in range(4):
        await store.clock.advance(0.5)
        await asyncio.sleep(0.02)
    assert process.known == []


async def test_the_other_process_hears_of_it_within_a_second(both: list[Process]) -> None:
    one, two = both
    await one.looks(1)
    clock = SystemClock()
    posted = clock.monotonic()
    for notice in (DOWN, PAUSED, DENIED):
        one.post(notice)
    await until(lambda: len(two.known) == 3)
    assert clock.monotonic() - posted <= 1.0
    assert two.known == [DENIED, DOWN, PAUSED]
    await one.looks()
    assert one.known == []


async def test_a_notice_hangs_until_its_time_is_over(both: list[Process]) -> None:
    one, two = both
    one.post(replace(DOWN, seconds=1.2))
    one.post(replace(PAUSED, seconds=10 * LONGEST))
    await until(lambda: len(two.known) == 2)
    await until(lambda: len(two.known) == 1)
    assert two.known[0].kind == "paused"
    assert two.known[0].seconds <= LONGEST


async def test_the_last_word_on_a_target_counts(both: list[Process]) -> None:
    one, two = both
    one.post(DOWN)
    await until(lambda: bool(two.known))
    first = two.heard[-1][0].id
    one.post(replace(DOWN, seconds=60.0))
    await until(lambda: bool(two.known) and two.known[0].seconds > 50)
    assert two.heard[-1][0].id != first
    assert len(two.known) == 1
