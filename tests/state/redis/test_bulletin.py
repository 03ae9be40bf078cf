"""Notices in Redis while it is away, and after it lost its data."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from tests.fakes.bulletins import DOWN, PAUSED, processes
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import until


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


async def test_an_emptied_redis_has_no_notices_and_takes_new_ones(
    server: RedisServer, tmp_path: Path
) -> None:
    async with processes("redis", tmp_path, server.url) as (one, two):
        one.post(PAUSED)
        await until(lambda: bool(two.known))
        await asyncio.to_thread(server.command, "FLUSHALL")
        await until(lambda: not two.known)
        one.post(DOWN)
        await until(lambda: bool(two.known))
