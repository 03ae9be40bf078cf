"""Answers in Redis: nodes follow each other, and what is missed is forgotten."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from gateway.core.answers import Cleared, Selection
from gateway.core.errors import StateUnavailable
from gateway.runtime import SystemClock
from gateway.state.redis import answers as module
from gateway.state.redis.answers import RedisAnswers
from tests.fakes.redis_server import RedisServer, redis_server
from tests.fakes.stores import Store, away, healthy, open_redis, until
from tests.state.test_contract_answers import Followed, found, fresh, put


def answers_of(store: Store) -> RedisAnswers:
    return cast("RedisAnswers", store.state.answers)


def ids(followed: Followed) -> Callable[[], set[str]]:
    """Return what tells which ids a follower knows of by now."""

    def known() -> set[str]:
        here: set[str] = set()
        for change in followed.changes:
            match change:
                case Cleared():
                    here.clear()
                case _ if hasattr(change, "answer"):
                    here.add(change.answer.id)
                case _:
                    here -= set(getattr(change, "ids", ()))
        return here

    return known


async def test_another_node_hears_of_answers_and_purges_within_a_second(
    redis: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "two").mkdir()
    clock = SystemClock()
    async with (
        open_redis(tmp_path, redis.url, clock, prefix="nodes:") as one,
        open_redis(tmp_path / "two", redis.url, clock, prefix="nodes:") as two,
    ):
        await healthy(one)
        followed = ids(Followed(two))
        one.state.answers.put(fresh(one, 1))
        one.state.answers.put(fresh(one, 2))
        async with asyncio.timeout(3):
            await until(lambda: followed() == {"id-1", "id-2"})
            await one.state.answers.remove(Selection(id="id-1"))
            assert await two.state.answers.get(fresh(one, 1).key) is None
            await until(lambda: followed() == {"id-2"})


async def test_without_redis_it_fails_at_once_and_followers_forget_until_it_is_back(
    tmp_path: Path,
) -> None:
    with redis_server() as server:
        async with open_redis(tmp_path, server.url, SystemClock(), timeout=0.05) as store:
            await healthy(store)
            await put(store, fresh(store, 1))
            followed = Followed(store)
            await until(lambda: ids(followed)() == {"id-1"})
            server.freeze()
            with pytest.raises(StateUnavailable):
                await store.state.answers.get(fresh(store, 1).key)
            for work in (store.state.answers.held, store.state.answers.flush):
                with suppress(StateUnavailable):
                    await work()
            store.state.answers.put(fresh(store, 2))
            await until(lambda: Cleared() in followed.changes)
            await away(store)
            with pytest.raises(StateUnavailable):
                await store.state.answers.remove(Selection())
            await until(lambda: store.state.answers.counts.dropped == 1)
            server.thaw()
            await healthy(store)
            async with asyncio.timeout(5):
                while True:
                    with suppress(StateUnavailable):
                        store.state.answers.put(fresh(store, 3))
                        await store.state.answers.flush()
                        break
                    await asyncio.sleep(0.05)
            await until(lambda: ids(followed)() == {"id-3"})


async def test_it_starts_without_redis_and_uses_it_once_it_is_there(tmp_path: Path) -> None:
    with redis_server() as server:
        server.kill()
        async with open_redis(tmp_path, server.url, SystemClock()) as store:
            with pytest.raises(StateUnavailable):
                await store.state.answers.get("any")
            await asyncio.to_thread(server.start)
            await healthy(store)
            await until(lambda: answers_of(store)._link.connected)
            await put(store, fresh(store, 1))
            assert await found(store) == ["id-1"]


async def test_an_emptied_redis_makes_every_follower_forget(tmp_path: Path) -> None:
    with redis_server() as server:
        async with open_redis(tmp_path, server.url) as store:
            await put(store, fresh(store, 1), fresh(store, 2))
            followed = Followed(store)
            assert await followed.here() == {"id-1", "id-2"}
            await asyncio.to_thread(server.command, "FLUSHALL")
            await put(store, *(fresh(store, n) for n in range(3, 9)))
            assert await followed.here() == {f"id-{n}" for n in range(3, 9)}
            assert followed.changes.count(Cleared()) == 1
            assert await store.state.answers.get(fresh(store, 1).key) is None


async def test_who_missed_removals_forgets_everything(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    async with open_redis(tmp_path, redis.url) as store:
        await put(store, *(fresh(store, n) for n in range(30)))
        followed = Followed(store)
        await followed.now()
        await put(store, *(fresh(store, 100 + n, key=fresh(store, n).key) for n in range(20)))
        await store.sweep_answers()
        left = {*(f"id-{n}" for n in range(20, 30)), *(f"id-{100 + n}" for n in range(20))}
        assert await followed.here() == left
        assert followed.changes.count(Cleared()) == 1
        newcomer = Followed(store)
        assert await newcomer.here() == left
        assert Cleared() not in newcomer.changes


async def test_b11_a_damaged_row_is_not_served_but_counted_and_removed(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, redis.url) as store:
        await put(store, *(fresh(store, n) for n in range(4)))
        prefix = f"{tmp_path.name}:answers:row:"
        with Redis.from_url(redis.url) as client:
            client.setrange(f"{prefix}id-0", 300, b"\x00")
            client.setrange(f"{prefix}id-1", 300, b"\x00")
            client.set(f"{prefix}id-2", cast("bytes", client.get(f"{prefix}id-3")))
        assert await store.state.answers.get(fresh(store, 0).key) is None
        assert await store.state.answers.get(fresh(store, 2).key) is None
        assert await found(store) == ["id-3"]
        assert store.state.answers.counts.damaged == 3
        assert await Followed(store).here() == {"id-3"}


async def test_the_server_takes_no_more_memory_than_is_said(tmp_path: Path) -> None:
    def used(server: RedisServer) -> int:
        with Redis.from_url(server.url) as client:
            info = cast("dict[str, int]", client.info("memory"))
            return info["used_memory"]

    with redis_server() as server:
        limit = 8 << 20
        async with open_redis(tmp_path, server.url, answers=limit) as store:
            before = await asyncio.to_thread(used, server)
            for start in range(0, 4000, 100):
                await put(
                    store,
                    *(
                        fresh(
                            store,
                            n,
                            id=os.urandom(16).hex(),
                            tenant=f"tenant-{n % 20}",
                            tags=("faq",),
                            vector=os.urandom(1536),
                            body=os.urandom(1000),
                        )
                        for n in range(start, start + 100)
                    ),
                )
            await store.sweep_answers()
            kept = sum(each.size for each in await store.state.answers.held())
            taken = await asyncio.to_thread(used, server) - before
            assert limit * 0.9 < kept <= limit
            assert taken < limit * 1.2
            await store.state.answers.remove(Selection())
            left = await asyncio.to_thread(used, server) - before
            assert left < limit / 4
            assert [key for key in await asyncio.to_thread(keys, server) if b":row:" in key] == []


def keys(server: RedisServer) -> list[bytes]:
    with Redis.from_url(server.url) as client:
        return cast("list[bytes]", client.keys("*"))
