"""Targets as they are built, and what an answer may cost there."""

from typing import Any

import pytest

from gateway.core.errors import UnknownModel
from tests.fakes.failover import House, breaks


async def test_a_target_whose_provider_cannot_be_used_is_left_out() -> None:
    house = House({"model": "one", "provider": "nowhere"}, {"model": "two"})
    assert await house.served_by() == "b"


async def test_an_unknown_model_is_unknown_here_too() -> None:
    house = House({}, {"model": "two"})
    assert isinstance(await house.failure(model="unheard-of"), UnknownModel)


async def test_without_any_target_nobody_is_to_be_had() -> None:
    house = House({"model": "one", "provider": "nowhere"})
    error = await house.failure()
    assert (error.status, error.retry_after) == (503, None)


async def test_the_asked_model_is_not_tried_twice() -> None:
    house = House({}, {"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    assert await house.served_by(model="one") == "b"
    assert house.asked == ["a", "b"]
    assert await house.served_by(model="two") == "b"


@pytest.mark.parametrize(
    ("fields", "dollars"),
    [
        ({"max_tokens": 100}, 0.001),
        ({"max_completion_tokens": 10}, 0.0001),
        ({}, 0.04096),
        ({"max_tokens": -1}, 0.04096),
        ({"max_tokens": 100, "n": 5}, 0.005),
        ({"n": 5}, 0.2048),
    ],
)
def test_the_worst_cost_is_that_of_the_longest_answer(fields: Any, dollars: float) -> None:
    house = House({"model": "one"})
    exchange = house.exchange("", **fields)
    targets = house.stage_targets()
    [candidate] = targets.of(exchange).candidates
    found = candidate.worst_cost(exchange.request, 0) / 1e6
    assert found == pytest.approx(dollars, abs=0.00002)


async def test_a_targets_own_parameters_count_for_its_worst_cost() -> None:
    house = House({"model": "one", "params": {"max_tokens": 4000}}, {"model": "two"})
    assert await house.served_by(max_tokens=10, max_cost=10_000) == "b"
    assert house.route == "failover: one lacks cost"
