"""P4: attempts <= 1.10 x requests + 30 in any 10 seconds."""

from random import Random

import pytest

from gateway.core.retry_budget import RetryBudget


def test_twenty_are_saved_up_and_one_comes_back_a_second() -> None:
    budget = RetryBudget(0)
    assert [budget.take(0) for _ in range(21)] == [True] * 20 + [False]
    assert not budget.take(0.9)
    assert budget.take(1.0)
    assert (budget.granted, budget.refused) == (21, 2)
    assert budget.level(1_000) == 20


def test_every_ten_requests_bring_one() -> None:
    budget = RetryBudget(0)
    for _ in range(20):
        budget.take(0)
    for _ in range(15):
        budget.deposit(0)
    assert budget.take(0)
    assert not budget.take(0)
    budget.give_back()
    assert budget.take(0)


@pytest.mark.parametrize("rate", [1, 7, 50, 400])
def test_p4_holds_in_every_window_while_everything_fails(rate: int) -> None:
    chance, budget = Random(rate), RetryBudget(0)
    requests: list[float] = []
    attempts: list[float] = []
    now = 0.0
    while now < 60:
        now += chance.expovariate(rate)
        requests.append(now)
        budget.deposit(now)
        attempts.append(now)
        attempts += [now for _ in range(2) if budget.take(now)]
    for start in range(50):
        asked = sum(start <= at < start + 10 for at in requests)
        tried = sum(start <= at < start + 10 for at in attempts)
        assert tried <= 1.10 * asked + 30


def test_it_is_low_from_below_eight_until_it_is_restored() -> None:
    budget = RetryBudget(0)
    for _ in range(12):
        budget.take(0)
    assert [budget.low, budget.take(0), budget.low] == [False, True, False]
    budget.take(0)
    budget.deposit(5)
    assert budget.low
    budget.deposit(13)
    assert not budget.low


def test_second_requests_are_paid_for_twice_over() -> None:
    budget = RetryBudget(0)
    assert not budget.hedge(1.0, 0)
    for _ in range(1_000):
        budget.earn(0.03)
    assert [budget.hedge(2.0, 0) for _ in range(3)] == [True, True, False]
    assert (budget.hedged, budget.granted) == (2, 2)
