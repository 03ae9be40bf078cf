"""In which order targets stand, and why one is passed over, as operators see it."""

import gc
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.commands.providers import table
from gateway.core.capacity import Concurrency
from tests.fakes.failover import House

TWO = ({"model": "one"}, {"model": "two"})


def order(house: House) -> Mapping[str, Any]:
    [found] = house.health.report(house.clock.now)["orders"]
    return dict(found)


def shown(house: House) -> str:
    return next(each for each in table(house.health.report(house.clock.now)) if "order by" in each)


def test_targets_stand_as_listed() -> None:
    assert shown(House()) == "order by `ordered`: a/one, b/two, c/three"


def test_the_fastest_is_shown_with_what_one_more_would_wait() -> None:
    house = House(*TWO, strategy="fastest")
    for provider, model, seconds in (("a", "one", 2.0), ("b", "two", 0.5)):
        house.condition(provider, model).answered(
            house.clock.now, "acme", None, seconds, first_token=True
        )
    house.condition("a", "one").outstanding = 1
    assert shown(house) == "order by `fastest`: b/two 0.50 s, a/one 4.00 s"
    house.condition("c", "three")
    other = House({"model": "one"}, {"model": "three"}, strategy="fastest")
    other.condition("a", "one").outstanding = 1
    assert shown(other) == "order by `fastest`: c/three 0.00 s, a/one not measured"


def test_the_most_reliable_is_shown_with_its_bound() -> None:
    house = House(*TWO, strategy="reliable")
    for _ in range(10):
        house.condition("b", "two").answered(house.clock.now, "acme")
    assert shown(house) == "order by `reliable`: b/two 0.722, a/one 0.000"


@pytest.mark.parametrize(
    ("strategy", "line"),
    [
        ("cheapest", "b/two $0.1 + $1, a/one $1 + $10, c/three no price"),
        ("weighted", "c/three weight 3, a/one weight 1, b/two weight 1"),
        ("balanced", "b/two load 0, c/three load 1, a/one load 2"),
    ],
)
def test_others_are_shown_with_what_they_go_by(strategy: str, line: str) -> None:
    house = House(*TWO, {"model": "three", "weight": 3}, strategy=strategy)
    house.condition("a", "one").outstanding = 2
    house.condition("c", "three").outstanding = 3
    assert shown(house) == f"order by `{strategy}`: {line}"


async def test_why_a_target_is_passed_over_stands_beside_it() -> None:
    house = House(rules={"c": Concurrency(max=1, adaptive=False)})
    now = house.clock.now
    house.condition("a", "one").breaker.trip(now)
    house.condition("a", "one").pause(now, 5)
    house.condition("b", "two").key.trip(now)
    house.capacity.at(house.tools.catalogue.models["three"]).take()
    line = "a/one (left alone, paused), b/two (key refused), c/three (full)"
    assert shown(house) == f"order by `ordered`: {line}"


def test_those_that_often_fail_stand_last_while_few_retries_are_left() -> None:
    house = House(*TWO)
    for _ in range(5):
        house.condition("a", "one").failed(house.clock.now, "acme", None, telling=True)
    assert shown(house) == "order by `ordered`: a/one (often fails), b/two"
    [(_, budget)] = house.health.budgets()
    while not budget.low:
        budget.take(house.clock.now)
    assert shown(house) == (
        "order by `ordered`, those that often fail last, for few retries are left:"
        " b/two, a/one (often fails)"
    )


async def test_lists_that_follow_the_model_are_shown_when_it_was_asked_for() -> None:
    house = House({}, {"model": "two"})
    assert house.health.report(house.clock.now)["orders"] == []
    await house.ask()
    assert shown(house) == "order by `ordered`: a/one, b/two"


def test_a_list_is_shown_once_and_for_as_long_as_it_is_used() -> None:
    house = House(*TWO)
    again = house.policy.build(house.tools)
    assert order(house)["strategy"] == "ordered"
    del again, house.chain
    gc.collect()
    assert house.health.report(house.clock.now)["orders"] == []
