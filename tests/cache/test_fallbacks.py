"""Behind a real `failover`: only answers of whom the policy asks on a good day are kept."""

from typing import Any

import pytest

from gateway.core.errors import UpstreamBroken
from gateway.core.notes import Routed
from gateway.stages.failover.policy import FailoverPolicy
from gateway.stages.failover.targets import TargetPolicy
from gateway.stages.relay import RelayPolicy
from tests.fakes.cached import CachedHouse

BROKEN = UpstreamBroken("It broke.")
FAST = TargetPolicy(model="fast")
SHORT = TargetPolicy(model="short")


def house_with(*targets: TargetPolicy) -> CachedHouse:
    house = CachedHouse()
    failover = FailoverPolicy(targets=targets).build(house.tools)
    house.use(failover, RelayPolicy().build(house.tools))
    return house


async def stored(house: CachedHouse, **more: Any) -> bool:
    """Ask twice: whether the second one was a hit."""
    await house.whole(**more)
    await house.whole(**more)
    return house.cached.hit


async def test_the_first_target_s_answers_are_kept() -> None:
    assert await stored(house_with(FAST, SHORT))


async def test_those_of_another_after_a_failure_are_not() -> None:
    house = house_with(FAST, SHORT)
    house.provider.fail = [BROKEN, None, BROKEN, None]
    assert not await stored(house)
    assert house.cache.events["refused", "fallback"] == 2


async def test_those_of_another_while_the_first_is_left_alone_are_not() -> None:
    house = house_with(FAST, SHORT)
    condition = house.tools.health.condition("acme", "fast")
    condition.paused_until = house.clock.now + 1_000
    assert not await stored(house)
    (routed,) = house.notes.all(Routed)
    assert (routed.model, routed.fallback) == ("short", True)


async def test_those_of_another_that_the_request_itself_needs_are() -> None:
    """Who may not use the first target never may: that is no accident."""
    first = TargetPolicy(model="fast", tenants=("vip",))
    house = house_with(first, SHORT)
    assert await stored(house)


@pytest.mark.parametrize(("ceiling", "kept"), [(None, True), (5_000, False)])
async def test_those_of_another_that_a_ceiling_of_cost_led_to_are_not(
    ceiling: int | None, kept: bool
) -> None:
    house = house_with(TargetPolicy(model="dear"), FAST)
    more = {"exchange": {"max_cost": ceiling}, "max_tokens": 100}
    assert await stored(house, **more) is kept
