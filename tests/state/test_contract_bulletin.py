"""What every store promises about notices of targets' health."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from math import ceil
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.bulletin import LONGEST, Bulletin, Notice
from gateway.core.secret import Secret
from gateway.runtime import SystemClock
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig
from tests.fakes.redis_server import RedisServer
from tests.fakes.runtime import real_time_runtime
from tests.fakes.stores import Store, until

DOWN = Notice("down", "acme", "small", 5.0)
PAUSED = Notice("paused", "acme", "large", 30.0, "5ecae7")
DENIED = Notice("denied", "acme", "", 20.0, "5ecae7")


class Process:
    """One of several with one store."""

    def __init__(self, bulletin: Bulletin) -> None:
        self.post = bulletin.post
        self.heard: list[Sequence[Notice]] = []
        bulletin.follow(self.heard.append)

    @property
    def known(self) -> list[Notice]:
        """What hung there at the last look, without ids, in full seconds."""
        last = self.heard[-1] if self.heard else ()
        plain = [replace(each, id="", seconds=float(ceil(each.seconds))) for each in last]
        return sorted(plain, key=lambda each: each.kind)

    async def looks(self, times: int = 2) -> None:
        """Wait for so many looks."""
        before = len(self.heard)
        await until(lambda: len(self.heard) >= before + times)


@asynccontextmanager
async def processes(kind: str, folder: Path, url: str) -> AsyncIterator[list[Process]]:
    """Open one store in two processes' way."""
    names = count(1)
    async with AsyncExitStack() as stack:
        found = []
        for home in ("one", "two"):
            runtime = replace(real_time_runtime(), new_id=lambda: f"process-{next(names)}")
            config: SqliteConfig | RedisConfig = SqliteConfig()
            if kind == "redis":
                config = RedisConfig(url=Secret(url, "test"), prefix="notices:", timeout=1)
            place = folder / home if kind == "redis" else folder
            state = await stack.enter_async_context(config.open(runtime, place))
            found.append(Process(state.bulletin))
        yield found


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


async def test_what_is_posted_while_redis_is_away_is_heard_when_it_is_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with processes("redis", tmp_path, server.url) as (one, two):
        await two.looks()
        await asyncio.to_thread(server.freeze)
        one.post(DOWN)
        one.post(replace(PAUSED, seconds=0.2))
        looks = len(two.heard)
        await asyncio.sleep(1.5)
        assert len(two.heard) == looks, "nobody is told anything, so nothing changes"
        await asyncio.to_thread(server.thaw)
        await until(lambda: bool(two.known))
        assert [each.kind for each in two.known] == ["down"]
        assert two.known[0].seconds < DOWN.seconds
