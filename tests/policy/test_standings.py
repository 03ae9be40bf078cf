"""What an operator sees of a tenant's limits, while requests are under way and after."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.errors import StateUnavailable
from gateway.core.exchange import Caller
from gateway.core.limits import LimitRule
from gateway.core.state import Decision, Reserve, State
from gateway.policy.snapshot import Holder, Snapshot
from gateway.policy.standings import Standings
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.state.memory import MemoryLimiter, memory_state
from tests.fakes.clock import FakeClock
from tests.fakes.limited import ALICE, LimitedHouse
from tests.fakes.relay import read
from tests.fakes.stores import open_store

OWN = LimitRule(cost=1.0, each="day", name="daily")
CALLER = replace(ALICE, limits=(OWN,))
RULES: list[dict[str, Any]] = [
    {"requests": 10, "every": "10s", "name": "rate"},
    {"concurrent": 3, "name": "places"},
    {"tokens": 100, "every": "1m", "per": ["user"], "name": "each user"},
]


def standings(state: State, *blocks: RateLimitPolicy) -> Standings:
    snapshot = Snapshot(version="v", chains={}, callers={}, limits={"default": blocks})
    return Standings(Holder(snapshot), state.limiter, lambda: "an operator's look")


def block(**fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(limits=tuple(LimitRule(**rule) for rule in RULES), **fields)


async def seen(looks: Standings, caller: Caller = CALLER) -> dict[str, tuple[Any, ...]]:
    told = await looks.of(caller)
    names = ("amount", "used", "left", "new_in")
    return {each["limit"]: tuple(each[name] for name in names) for each in told}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_each_limit_is_told_with_what_is_used_of_it_and_left(
    kind: str, tmp_path: Path
) -> None:
    async with open_store(kind, tmp_path) as store:
        house = LimitedHouse(*RULES, state=store.state)
        looks = standings(store.state, block())
        await seen(looks)
        fresh = await seen(looks)  # looking takes nothing
        assert fresh["rate"] == (10, 0, 10, 0)
        assert fresh["daily"][:3] == (1.0, 0.0, 1.0)
        stream = await house.stream(caller=CALLER, max_tokens=100)
        assert (await seen(looks))["places"] == (3, 1, 2, 0)
        assert (await seen(looks))["daily"][1:3] == (0.001005, 0.998995)
        await read(stream)
        after = await seen(looks)
        assert after["rate"][1:] == (1, 9, 1)
        assert after["places"] == (3, 0, 3, 0)
        assert after["daily"][1] == house.charge.amounts.micro_dollars / 1e6  # type: ignore[operator]


async def test_a_limit_with_a_count_for_each_user_is_told_without_one() -> None:
    looks = standings(memory_state(FakeClock()), block())
    assert (await seen(looks))["each user"] == (100, None, None, None)


async def test_a_tenants_limit_is_told_once_however_many_stages_count_it() -> None:
    looks = standings(memory_state(FakeClock()), block(enforce=False), RateLimitPolicy())
    told = await looks.of(CALLER)
    assert [(each["limit"], each["of"], each["enforced"]) for each in told] == [
        ("rate", "policy", False),
        ("places", "policy", False),
        ("each user", "policy", False),
        ("daily", "tenant", True),
    ]


async def test_a_limit_that_no_stage_counts_is_told_so() -> None:
    (told,) = await standings(memory_state(FakeClock())).of(CALLER)
    assert (told["enforced"], told["used"]) == (False, None)


async def test_a_limit_that_is_lowered_below_its_use_has_nothing_left() -> None:
    house = LimitedHouse({"concurrent": 3})
    for _ in range(3):
        await house.stream(caller=ALICE)
    lowered = RateLimitPolicy(limits=(LimitRule(concurrent=1),))
    looks = standings(house.tools.state, lowered)
    assert await seen(looks, ALICE) == {"1 requests per tenant at once": (1, 3, 0, 0)}
    assert house.leases == 3


class Away(MemoryLimiter):
    """A store that cannot be reached."""

    async def reserve(self, request: Reserve, /) -> Decision:
        raise StateUnavailable("away")


async def test_without_its_store_the_limits_are_told_and_their_use_is_not() -> None:
    clock = FakeClock()
    state = replace(memory_state(clock), limiter=Away(clock))
    assert (await seen(standings(state, block())))["rate"] == (10, None, None, None)
