"""What a refused caller is told, and when it comes back."""

from math import inf
from random import Random
from typing import Any

from gateway.core.limits import LimitRule
from gateway.stages.limit_meters import Meter
from gateway.stages.limit_refusals import refusal

NOW = 1_795_000_000.0


def meter(**rule: Any) -> Meter:
    return Meter(LimitRule(**rule), "alice", policy="default")


REQUESTS = meter(requests=5, every="1m")
BUDGET = meter(cost=5.0, each="month", name="monthly")


def test_g08_waits_are_spread_later_and_never_over_a_minute() -> None:
    random = Random(7)
    for wait in (1.0, 30.0, 58.0):
        told = [refusal(REQUESTS, 1, wait, NOW, random).retry_after or 0.0 for _ in range(500)]
        assert min(told) < wait * 1.02
        assert max(told) > min(59.0, wait * 1.18)
        assert wait <= min(told)
        assert max(told) <= min(60.0, wait * 1.4)


def test_the_limit_is_named_with_its_window_and_its_end() -> None:
    error = refusal(BUDGET, 100, 99_999.0, NOW, Random(0))
    assert error.public == (
        "The budget `monthly` has no room left for the $0.0001 asked for."
        " It is new at 2026-12-01T00:00:00+00:00."
    )
    assert (error.code, error.kind) == ("budget_exceeded", "insufficient_quota")


def test_what_is_larger_than_the_limit_is_hopeless() -> None:
    error = refusal(BUDGET, 6_000_000, inf, NOW, Random(0))
    assert error.retry_after is None
    assert "may need $6, and the limit `monthly` never has more than $5." in error.public


def test_a_part_of_a_budget_that_is_gone_while_the_store_is_away_is_worth_another_try() -> None:
    error = refusal(REQUESTS, 1, inf, NOW, Random(0))
    assert error.retry_after is not None
    assert 10 <= error.retry_after <= 14


def test_a_limit_of_tokens_is_called_so_in_openais_words() -> None:
    tokens = meter(tokens=5, every="1m")
    assert refusal(tokens, 1, 1.0, NOW, Random(0)).kind == "tokens"
    assert refusal(REQUESTS, 1, 1.0, NOW, Random(0)).kind == "requests"
    assert refusal(REQUESTS, 1, 70.0, NOW, Random(0)).public.endswith("Try again in 2 minutes.")
