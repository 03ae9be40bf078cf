"""What all walks of a stage share: its deadline and its ceiling."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.health import Health
from gateway.stages.failover.learning import Learning
from gateway.stages.failover.rules import Rules
from gateway.stages.failover.strategies import strategy
from tests.fakes.failover import House


def rules(house: House, **fields: Any) -> Rules:
    runtime = house.runtime
    return Rules(
        clock=runtime.clock,
        random=runtime.random,
        learning=Learning(Health(runtime.random), runtime.clock),
        order=strategy("ordered", runtime.random, sticky=False),
        **fields,
    )


@pytest.mark.parametrize(
    ("policy", "caller", "least"), [(None, None, None), (5, None, 5), (None, 7, 7), (5, 3, 3)]
)
def test_the_lower_of_two_ceilings_counts(
    policy: int | None, caller: int | None, least: int | None
) -> None:
    house = House()
    exchange = replace(house.exchange(), max_cost=caller)
    assert rules(house, max_cost=policy).ceiling(exchange) == least


def test_the_sooner_of_two_deadlines_counts() -> None:
    house = House()
    exchange, now = house.exchange(deadline=10), house.clock.now
    assert rules(house).deadline(exchange, now) == now + 10
    assert rules(house, seconds=4.0).deadline(exchange, now) == now + 4
    assert rules(house, seconds=40.0).deadline(exchange, now) == now + 10


def test_only_an_order_as_listed_without_price_or_race_is_plain() -> None:
    house = House()
    assert rules(house).plain
    assert not rules(house, name="fastest").plain
    assert not rules(house, max_cost=5).plain
