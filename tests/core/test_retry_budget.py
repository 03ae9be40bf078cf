"""P4: attempts <= 1.10 x requests + 30 in any 10 seconds, each counted when it is sent."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.retry_budget import RetryBudget, Token
from tests.fakes.failover import keeps_p4


def taken(budget: RetryBudget, now: float, count: int = 1) -> list[Token]:
    """Take so many tokens, or those that there are, without spending them."""
    return [token for _ in range(count) if (token := budget.take(now)) is not None]


def spend(budget: RetryBudget, now: float, count: int = 1) -> int:
    """Send so many tries, or those that there are tokens for."""
    tokens = taken(budget, now, count)
    for token in tokens:
        token.spend(now)
    return len(tokens)


def test_twenty_are_saved_up_and_one_comes_back_a_second() -> None:
    budget = RetryBudget(0)
    assert spend(budget, 0, 21) == 20
    assert spend(budget, 0.9) == 0
    assert spend(budget, 1.0) == 1
    assert (budget.granted, budget.refused) == (21, 2)
    assert budget.level(1_000) == 20


def test_every_ten_requests_bring_one() -> None:
    budget = RetryBudget(0)
    spend(budget, 0, 20)
    for _ in range(15):
        budget.deposit(0)
    [token] = taken(budget, 0)
    assert not taken(budget, 0)
    token.back(0)
    token.back(0)
    assert len(taken(budget, 0, 2)) == 1


def test_what_waits_to_be_sent_takes_the_room_of_what_could_be_saved_up() -> None:
    budget = RetryBudget(0)
    waiting = taken(budget, 0, 20)
    assert not taken(budget, 100), "twenty wait already, and may be sent at any moment"
    for token in waiting[:5]:
        token.spend(100)
    assert not taken(budget, 100)
    assert len(taken(budget, 103, 9)) == 3
    assert (budget.granted, budget.refused) == (23, 8)


@pytest.mark.parametrize("rate", [1, 7, 50, 400])
def test_p4_holds_in_every_window_while_everything_fails(rate: int) -> None:
    chance, budget = Random(rate), RetryBudget(0)
    requests: list[float] = []
    attempts: list[float] = []
    now = 0.0
    while now < 30:
        now += chance.expovariate(rate)
        requests.append(now)
        budget.deposit(now)
        attempts += [now] * (1 + spend(budget, now, 2))
    for start in range(20):
        asked = sum(start <= at < start + 10 for at in requests)
        tried = sum(start <= at < start + 10 for at in attempts)
        assert tried <= 1.10 * asked + 30


@given(seed=st.integers(0, 1 << 32), rate=st.floats(0.5, 20))
@settings(max_examples=60, deadline=None)
def test_p4_holds_however_requests_come_and_however_long_tries_wait(seed: int, rate: float) -> None:
    """Each comes, waits for its place, fails, and its next tries wait for places of their own."""
    chance, budget = Random(seed), RetryBudget(0)
    requests, tries = list[float](), list[float]()

    def place(now: float) -> float:
        """Return when there is a place: after a while, or for all that wait at once."""
        return now + chance.uniform(0, 15) if chance.random() < 0.3 else (now // 20 + 1) * 20

    # Time, number of the request, and the token of its next try; 0 is its first.
    due: list[tuple[float, int, Token | int | None]] = []
    now = 0.0
    for number in range(150):
        now += chance.expovariate(rate)
        due.append((place(now), number, 0))
    while due and len(tries) < 400:
        due.sort(key=lambda each: each[:2])
        now, number, what = due.pop(0)
        if what is None:
            token = budget.take(now)
            if token is not None:
                due.append((place(now), number, token))
            continue
        tries.append(now)
        if isinstance(what, Token):
            what.spend(now)
        else:
            requests.append(now)
            budget.deposit(now)
        due.append((now + chance.uniform(0, 5), number, None))
    assert keeps_p4(requests, tries)


def test_it_is_low_from_below_eight_until_it_is_restored() -> None:
    budget = RetryBudget(0)
    seen = []
    for tries in (12, 1, 1):
        spend(budget, 0, tries)
        seen.append(budget.low)
    for now in (5, 13):
        budget.deposit(now)
        seen.append(budget.low)
    assert seen == [False, False, True, True, False]


def test_second_requests_are_paid_for_twice_over() -> None:
    budget = RetryBudget(0)
    assert not budget.hedge(1.0, 0)
    for _ in range(1_000):
        budget.earn(0.03)
    assert [budget.hedge(2.0, 0) is not None for _ in range(3)] == [True, True, False]
    assert (budget.hedges.started, budget.granted) == (2, 2)
