"""Issued keys in Redis: nodes follow each other, and a lost table comes back."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.core.errors import StateUnavailable
from gateway.core.state import IssuedKey
from gateway.runtime import SystemClock
from tests.fakes.redis_server import RedisServer, redis_server
from tests.fakes.stores import healthy, open_redis
from tests.state.test_contract_keys import key


async def test_a_key_revoked_on_one_node_is_revoked_on_the_other_within_a_second(
    redis: RedisServer, tmp_path: Path
) -> None:
    seen: list[Sequence[IssuedKey]] = []
    (tmp_path / "two").mkdir()
    async with (
        open_redis(tmp_path, redis.url, SystemClock(), prefix="keys:") as one,
        open_redis(tmp_path / "two", redis.url, SystemClock(), prefix="keys:") as two,
    ):
        two.state.keys.follow(seen.append)
        await one.state.keys.create(key(1))
        await one.state.keys.revoke("key-1", 5.0)
        async with asyncio.timeout(3):
            while not (seen[-1] and seen[-1][0].revoked):
                await asyncio.sleep(0.02)
        with pytest.raises(ValueError, match="key-1"):
            await two.state.keys.create(key(1))


async def test_revoking_waits_for_redis_and_says_so(tmp_path: Path) -> None:
    with redis_server() as server:
        async with open_redis(tmp_path, server.url) as store:
            await store.state.keys.create(key(1))
            await asyncio.to_thread(server.kill)
            with pytest.raises(StateUnavailable):
                await store.state.keys.revoke("key-1", 5.0)
            with pytest.raises(StateUnavailable):
                await store.state.keys.create(key(2))
            assert [found.id for found in await store.state.keys.all()] == ["key-1"]


async def test_a_key_that_was_revoked_stays_so_when_an_older_table_is_brought_back(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Redis lost its data; the node that missed the revocation brings its table first."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with open_redis(tmp_path / "two", redis.url, prefix="old:") as two:
        await two.state.keys.create(key(1))
    async with open_redis(tmp_path / "one", redis.url, prefix="old:") as one:
        await one.state.keys.revoke("key-1", 5.0)
    await asyncio.to_thread(redis.command, "FLUSHALL")
    for name in ("two", "one"):
        async with open_redis(tmp_path / name, redis.url, SystemClock(), prefix="old:") as node:
            await healthy(node)
    async with open_redis(tmp_path / "two", redis.url, prefix="old:") as two:
        assert [found.revoked for found in await two.state.keys.all()] == [5.0]
