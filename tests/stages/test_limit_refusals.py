"""What a refused caller is told, and when it comes back."""

from math import inf
from random import Random
from typing import Any

from gateway.core.errors import LimitReached
from gateway.core.limits import LimitRule
from gateway.core.notes import Demand
from gateway.core.state import Rate, Refused
from gateway.stages.limit_meters import Meter
from gateway.stages.limit_refusals import refusal

NOW = 1_795_000_000.0


def meter(**rule: Any) -> Meter:
    return Meter(LimitRule(**rule), "alice", policy="default")


def told(
    meter: Meter, amount: int, wait: float, random: Random, *, alone: bool = False
) -> LimitReached:
    """What a request is told that asks for so many micro-dollars, or for so much output."""
    limit = Rate("k", meter.capacity, 1.0)
    refused = Refused((limit,), (meter.capacity,), NOW, (0,), "k", wait, alone)
    demand = Demand(0, amount, amount, amount) if meter.measured else None
    return refusal(meter, demand, refused, NOW, random)


REQUESTS = meter(requests=5, every="1m")
BUDGET = meter(cost=5.0, each="month", name="monthly")


def test_g08_waits_are_spread_later_and_never_over_a_minute() -> None:
    random = Random(7)
    for wait in (1.0, 30.0, 58.0):
        waits = [told(REQUESTS, 1, wait, random).retry_after or 0.0 for _ in range(500)]
        assert min(waits) < wait * 1.02
        assert max(waits) > min(59.0, wait * 1.18)
        assert wait <= min(waits)
        assert max(waits) <= min(60.0, wait * 1.4)


def test_the_limit_is_named_with_its_window_and_its_end() -> None:
    error = told(BUDGET, 100, 99_999.0, Random(0))
    assert error.public == (
        "The budget `monthly` has no room left for the $0.0001 asked for."
        " It is new at 2026-12-01T00:00:00+00:00."
    )
    assert (error.code, error.kind) == ("budget_exceeded", "insufficient_quota")


def test_what_is_larger_than_the_limit_is_hopeless() -> None:
    error = told(BUDGET, 6_000_000, inf, Random(0))
    assert error.retry_after is None
    assert "may need $6, and the limit `monthly` never has more than $5." in error.public


def test_a_part_of_a_budget_that_is_gone_while_the_store_is_away_is_worth_another_try() -> None:
    error = told(BUDGET, 1, 2.0, Random(0), alone=True)
    assert error.public == (
        "The store of limits cannot be reached, and what may be admitted without it of the budget"
        " `monthly` is spent. Try again in 3 s."
    )
    assert (error.code, error.retry_after is not None) == ("rate_limit_exceeded", True)


def test_a_limit_of_tokens_is_called_so_in_openais_words() -> None:
    tokens = meter(tokens=5, every="1m")
    assert told(tokens, 1, 1.0, Random(0)).kind == "tokens"
    assert told(REQUESTS, 1, 1.0, Random(0)).kind == "requests"
    assert told(REQUESTS, 1, 70.0, Random(0)).public.endswith("Try again in 2 minutes.")
