"""The arithmetic by itself; what it promises through a store is in the contract tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.state import Admitted, Budget, Rate, Refused
from gateway.state.accounts import Accounts
from tests.fakes.stores import Asked, reserving

REQUESTS = (Rate("requests", 2, 2 / 60), 1)


def ask(accounts: Accounts, name: str, now: float, *asked: Asked) -> Admitted | Refused:
    return accounts.reserve(reserving(name, *asked), now)


def test_c10_after_a_clock_went_back_nobody_waits_for_more_than_one_window() -> None:
    accounts, now = Accounts(), 1_000_000.0
    for name in ("a", "b"):
        ask(accounts, name, now, REQUESTS)
    now -= 3600
    refused = ask(accounts, "c", now, REQUESTS)
    assert isinstance(refused, Refused)
    assert refused.retry_after == pytest.approx(30)
    assert isinstance(ask(accounts, "d", now + 30, REQUESTS), Admitted)


def test_an_exact_interval_is_enough_however_late_the_epoch_is() -> None:
    accounts, start, fast = Accounts(), 4_000_000_000.1, (Rate("tokens", 1, 1000.0), 1)
    for number in range(1000):
        moment = start + number * 1e-3
        assert isinstance(ask(accounts, f"r{number}", moment, fast), Admitted)


def test_only_leases_that_are_over_expire() -> None:
    accounts = Accounts()
    ask(accounts, "a", 0.0, (Budget("usd", 100, 1e9), 5))
    accounts.expire(["a"], 89.9)
    assert (accounts.counters["usd"].held, accounts.counters["usd"].spent) == (5, 0)
    accounts.expire(["a"], 90.0)
    assert (accounts.counters["usd"].held, accounts.counters["usd"].spent) == (0, 5)


def test_an_expired_lease_is_not_lowered_any_more() -> None:
    accounts = Accounts()
    ask(accounts, "a", 0.0, (Budget("usd", 100, 1e9), 5))
    accounts.expire(["a"], 90.0)
    accounts.lower("a", [1], 91.0)
    accounts.settle("a", [3], 91.0)
    assert accounts.counters["usd"].spent == 3


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_c15_the_sum_of_a_million_settlements_is_exact(count: int) -> None:
    accounts = Accounts()
    budget = (Budget("usd", 1 << 50, 1e12), 10**9)
    expected = 0
    for number in range(count):
        ask(accounts, "r", float(number), budget)
        used = (number * 7_919) % 1_000_003
        accounts.settle("r", [used], float(number))
        expected += used
    assert (accounts.counters["usd"].spent, accounts.counters["usd"].held) == (expected, 0)


STEPS = st.tuples(st.floats(0, 40), st.integers(0, 60), st.integers(0, 90), st.booleans())


@given(st.lists(STEPS, max_size=30))
def test_a_rate_stands_as_if_it_had_come_back_steadily(
    steps: list[tuple[float, int, int, bool]],
) -> None:
    """Whatever is given back or charged more, sooner or later, between whatever others take."""
    accounts, now, level, pace = Accounts(), 1_795_000_000.0, 0.0, 100 / 60
    held: list[tuple[str, int]] = []
    for number, (pause, amount, used, ends) in enumerate(steps):
        now += pause
        level = max(0.0, level - pause * pace)
        if isinstance(ask(accounts, f"r{number}", now, (Rate("k", 100, pace), amount)), Admitted):
            level += amount
            held.append((f"r{number}", amount))
        if ends and held:
            name, reserved = held.pop(0)
            accounts.settle(name, [used], now)
            level = max(0.0, level + used - reserved)
        looked = ask(accounts, "look", now, (Rate("k", 1000, pace), 0))
        accounts.release("look", now)
        assert looked.used[0] == pytest.approx(level, abs=1e-4)
