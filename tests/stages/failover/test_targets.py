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


@pytest.mark.parametrize(
    ("size", "max_tokens", "provider"),
    [(0, 900, "c"), (0, 1_000, "b"), (3_200, 150, "c"), (3_200, 250, "b")],
)
async def test_prompt_and_answer_must_fit_into_the_context_together(
    size: int, max_tokens: int, provider: str
) -> None:
    house = House({"model": "three"}, {"model": "two"})
    assert await house.served_by("x" * size, max_tokens=max_tokens) == provider
    assert house.route == ("ordered" if provider == "c" else "failover: three lacks context")


async def test_what_is_asked_of_a_target_is_what_must_fit() -> None:
    house = House({"model": "three", "params": {"max_tokens": None}}, {"model": "two"})
    assert await house.served_by(max_tokens=5_000) == "c"
    house = House({"model": "three", "params": {"max_tokens": 5_000}}, {"model": "two"})
    assert await house.served_by(max_tokens=10) == "b"


async def test_a_longer_answer_than_a_model_can_give_is_asked_of_another() -> None:
    house = House({"model": "short"}, {"model": "two"})
    assert await house.served_by(max_tokens=500) == "a"
    assert await house.served_by(max_completion_tokens=501) == "b"
    assert house.route == "failover: short lacks max_output"
    error = await House({"model": "short"}).failure(max_tokens=501)
    assert (error.status, error.code, error.param) == (400, "capability_missing", "max_tokens")
