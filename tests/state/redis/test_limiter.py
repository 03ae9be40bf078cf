"""What is special about limits in Redis; what goes wrong with it is in test_recovery."""

import asyncio
from math import inf
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.errors import StateUnavailable
from gateway.core.state import Lease
from gateway.runtime import SystemClock
from gateway.state.redis.limiter import AWAY, RedisLimiter
from tests.fakes.limited import LimitedHouse
from tests.fakes.proxies import free_port
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import Counted, healthy, open_redis, rate, slots

USD = "acme/usd/2026-11"


async def test_two_nodes_share_every_limit(redis: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    async with (
        open_redis(tmp_path, redis.url, prefix="both:") as one,
        open_redis(tmp_path / "two", redis.url, prefix="both:") as two,
    ):
        await one.admit("a", slots(1), rate(2), one.budget(10, 6))
        refused = await two.refuse("b", slots(1), rate(2), two.budget(10, 6))
        assert list(refused.exceeded) == [0, 2]


async def test_the_lease_of_another_tenant_is_left_alone(
    redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_redis(tmp_path, redis.url) as store:
        lease = (await store.admit("a", store.budget(10, 6))).lease
        stolen = replace(lease, tenant="globex")
        async with open_redis(tmp_path, redis.url, SystemClock()) as other:
            await healthy(other)
            other.state.limiter.release(stolen)
            await other.state.limiter.flush()
        assert await store.counted(USD) == Counted(held=6)
    assert "redis refused a change: foreign a" in caplog.text


async def test_a_value_of_another_kind_under_our_name_fails_the_request_not_the_store(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, redis.url) as store:
        await asyncio.to_thread(redis.command, "SET", f"{tmp_path.name}:limit:{USD}", "text")
        with pytest.raises(StateUnavailable, match="WRONGTYPE"):
            await store.reserve("a", store.budget(10, 6))
        await store.admit("b", rate(5))


async def test_leases_that_nobody_settles_are_forgotten_here_too(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, redis.url) as store:
        limiter = store.state.limiter
        assert isinstance(limiter, RedisLimiter)
        await store.admit("a", rate(5))
        limiter.start += 90_000
        limiter.sweep()
        assert limiter.held == {}


async def test_lowering_or_settling_what_this_process_never_held_is_harmless(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with open_redis(tmp_path, redis.url) as store:
        budget, amount = store.budget(10, 6)
        unknown = Lease("nobody's", "acme", (budget,), [amount], 0.0)
        store.lower(unknown, {USD: 1})
        store.settle(unknown, {USD: 1})
        assert await store.counted(USD) == Counted()


async def test_c06_a_share_that_is_spent_is_no_budget_that_is_spent(tmp_path: Path) -> None:
    async with open_redis(tmp_path, f"redis://127.0.0.1:{free_port()}/0") as store:
        store.settle((await store.admit("a", store.budget(200, 2))).lease, {})
        refused = await store.refuse("b", store.budget(200, 1))
        assert (refused.alone, refused.retry_after) == (True, AWAY)
        hopeless = await store.refuse("c", store.budget(200, 201))
        assert (hopeless.alone, hopeless.retry_after) == (False, inf)
        house = LimitedHouse({"requests": 50, "each": "day"}, state=store.state)
        await house.whole()
        error = await house.refused()
    assert error.public.startswith(
        "The store of limits cannot be reached, and what may be admitted without it of the budget"
        " `50 requests per tenant each day` is spent. Try again in"
    )
    assert error.code == "rate_limit_exceeded"
    assert error.retry_after is not None
    assert AWAY <= error.retry_after <= 1.4 * AWAY
