"""Counts in Redis when an answer is lost, and when Redis lost everything."""

import asyncio
from pathlib import Path

from gateway.core.tallies import Agreed
from tests.fakes.redis_server import RedisServer
from tests.fakes.tallying import look, tellers


async def test_a_batch_that_comes_twice_counts_once(redis: RedisServer, tmp_path: Path) -> None:
    async with tellers("redis", tmp_path, redis.url) as (one, two):
        exchange = one.tallies._exchange
        one.add(1, 1)
        await look(one)
        sent = one.tallies._batch.number
        one.add(1)
        one.tallies._fill(0)
        assert one.tallies._batch.number == sent + 1
        for _ in range(2):
            await exchange(one.tallies._batch, one.tallies._wanted())
        await look(one, two)
        assert two.sums() == {1: 3}


async def test_counts_made_while_redis_is_away_arrive_once_it_is_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with tellers("redis", tmp_path, server.url) as (one, two):
        one.add(1)
        await look(one, two)
        await asyncio.to_thread(server.freeze)
        one.add(1)
        await look(one)
        assert one.sums() == {1: 1}, "what it saw last"
        await asyncio.to_thread(server.thaw)
        for each in (one, two):
            await each.store.clock.advance(1)  # it connects again
            await asyncio.sleep(0.1)
        await look(one, two)
        assert two.sums() == {1: 2}


async def test_an_emptied_redis_starts_to_count_anew_and_is_told_the_setting_again(
    server: RedisServer, tmp_path: Path
) -> None:
    async with tellers("redis", tmp_path, server.url) as (one, two):
        one.add(1)
        one.propose(7, "kept")
        await look(one, two)
        await asyncio.to_thread(server.command, "FLUSHALL")
        one.add(2)
        await look(one, one, two)
        assert two.sums() == {2: 1}
        assert two.agreed() == Agreed(7, "kept")
