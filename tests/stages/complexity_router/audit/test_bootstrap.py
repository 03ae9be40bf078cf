"""Intervals of paired differences: repeatable, as wide as theory says, and honest about chance."""

from math import sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.stages.complexity_router.audit.bootstrap import (
    DRAWS,
    chance_of_none,
    interval,
    resampled,
)


def coins(count: int, share: float, seed: int = 1) -> list[float]:
    chance = Random(seed)
    return [float(chance.random() < share) for _ in range(count)]


def test_equal_pairs_give_equal_intervals_and_another_seed_another() -> None:
    pairs = coins(200, 0.3)
    assert interval(pairs) == interval(pairs)
    assert interval(pairs) != interval(pairs, seed=2)


def test_the_interval_is_as_wide_as_the_normal_law_has_it() -> None:
    pairs = coins(1_000, 0.3)
    found = interval(pairs)
    assert found.pairs == 1_000
    error = sqrt(found.mean * (1 - found.mean) / 1_000)
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.004)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.004)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    held = 0
    for seed in range(200):
        found = interval(coins(150, 0.4, seed), draws=400)
        held += found.low <= 0.4 <= found.high
    assert 180 <= held <= 199


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
@settings(max_examples=30)
def test_the_interval_lies_within_the_differences(differences: list[float]) -> None:
    found = interval(differences, draws=50)
    assert min(differences) - 1e-9 <= found.low <= found.high <= max(differences) + 1e-9


def test_the_p_of_no_gain_is_small_only_for_a_gain() -> None:
    assert chance_of_none([0.1] * 100) == 1 / (DRAWS + 1)
    assert chance_of_none([-0.1] * 100) == 1.0
    assert chance_of_none([0.0] * 100) == 1.0
    assert 0.2 < chance_of_none([1.0, -1.0] * 50) < 0.8


def test_without_pairs_there_is_nothing_to_resample() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        resampled([], 10, 1)
