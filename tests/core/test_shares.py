"""Who holds about the most, among any number of names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.shares import Shares

STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-50, 100)), max_size=60)


def test_who_holds_nothing_is_not_among_them() -> None:
    shares = Shares()
    shares.grow("a", 5)
    shares.grow("a", -5)
    shares.grow("b", 0)
    assert shares.amounts() == {}
    with pytest.raises(ValueError, match="empty"):
        shares.largest("a")


def test_among_those_of_one_magnitude_whoever_asks_goes_first_then_each_in_turn() -> None:
    shares = Shares()
    for name, amount in (("a", 100), ("b", 120), ("c", 70), ("d", 63)):
        shares.grow(name, amount)
    assert shares.largest("b") == "b"
    assert [shares.largest("d") for _ in range(4)] == ["a", "c", "b", "a"]


def test_all_is_forgotten_at_once() -> None:
    shares = Shares()
    shares.grow("a", 5)
    shares.clear()
    shares.grow("b", 1)
    assert (shares.amounts(), shares.largest("a")) == ({"b": 1}, "b")


@given(STEPS)
def test_the_largest_holds_at_least_half_of_what_anybody_holds(
    steps: list[tuple[str, int]],
) -> None:
    shares, held = Shares(), dict.fromkeys("abcd", 0)
    for name, by in steps:
        step = max(by, -held[name])
        held[name] += step
        shares.grow(name, step)
        assert shares.amounts() == {each: amount for each, amount in held.items() if amount}
        if any(held.values()):
            assert 2 * held[shares.largest(name)] > max(held.values())
