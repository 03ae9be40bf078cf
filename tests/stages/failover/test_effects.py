"""Fields that cannot come into effect are told when the policy is checked."""

from typing import Any

import pytest

from tests.stages.failover.test_policy import problems

ONE, TWO = {"model": "one"}, {"model": "two"}


@pytest.mark.parametrize("strategy", ["ordered", "fastest", "reliable", "cheapest"])
def test_a_weight_that_nobody_looks_at_is_told(strategy: str) -> None:
    [found] = problems(ONE, {**TWO, "weight": 3}, strategy=strategy)
    what = f"has no effect: `{strategy}` has no shares. It is for `weighted` and `balanced`."
    assert found == ("targets.1.weight", what, "warning")


def test_a_weight_of_a_fallback_has_no_effect_whatever_the_strategy() -> None:
    fallbacks = [{**TWO, "weight": 3}]
    [(at, _, severity)] = problems(ONE, strategy="weighted", on_content_policy=fallbacks)
    assert (at, severity) == ("on_content_policy.0.weight", "warning")


@pytest.mark.parametrize("strategy", ["weighted", "balanced"])
def test_a_weight_where_there_are_shares_is_right(strategy: str) -> None:
    assert not problems(ONE, {**TWO, "weight": 3}, strategy=strategy)


@pytest.mark.parametrize(("first_token", "warned"), [(4, False), (5, True), (6, True)])
def test_a_first_token_that_may_take_as_long_as_everything_is_told(
    first_token: float, warned: bool
) -> None:
    found = problems({**ONE, "first_token": first_token}, TWO, deadline=5)
    what = "the stage's deadline of 5 s comes first: no other target is tried."
    assert found == ([("targets.0.first_token", what, "warning")] if warned else [])


def test_a_hedge_needs_somebody_to_ask_beside_the_first() -> None:
    hedge: Any = {"extra": 3}
    [(at, what, severity)] = problems(ONE, hedge=hedge)
    assert (at, severity) == ("hedge", "warning")
    assert what.startswith("never happens")
    assert not problems(ONE, TWO, hedge=hedge)
