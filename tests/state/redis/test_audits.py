"""Checks of semantic hits and a Redis that goes away or forgets."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.audits import Audits, Record
from gateway.core.errors import StateUnavailable
from gateway.core.hit_budget import Group
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import open_redis

GROUP = Group("acme", "default", "gpt")


async def test_an_emptied_redis_gets_back_what_this_process_knows(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url) as store:
        known = Audits(store.state.audits, store.now)
        known.add(GROUP, 0.97, wrong=False)
        await known.flush()
        await asyncio.to_thread(server.command, "FLUSHALL")
        known.add(GROUP, 0.97, wrong=False)
        await known.flush()
        (record,) = await store.state.audits.all()
        assert record.revision == 1
        assert known.standing(GROUP).checked == 2


async def test_without_redis_it_says_so_and_checks_wait(
    server: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, server.url, timeout=0.05) as store:
        known = Audits(store.state.audits, store.now)
        known.add(GROUP, 0.97, wrong=False)
        server.kill()
        with pytest.raises(StateUnavailable):
            await store.state.audits.swap(Record("a", 1, b"{}"))
        await known.load()
        await known.flush()
        assert known.standing(GROUP).checked == 0
        assert known.lost == 0
