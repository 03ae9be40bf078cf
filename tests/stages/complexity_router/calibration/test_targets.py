"""Targets that operators understand, and the shares that they come to."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.calibration.targets import (
    Judged,
    Target,
    for_cost,
    for_quality,
    mixture,
    without,
)

DOLLARS = (0.0002, 0.002, 0.006)


def judged(count: int = 1_000, seed: int = 1) -> list[Judged]:
    """Requests of which the lowest tier does the easier two thirds as well as the highest."""
    chance, found = Random(seed), []
    for _ in range(count):
        score = chance.random()
        strong = float(chance.random() < 0.9)
        found.append(Judged(score, (strong if score < 0.66 else 0.0, strong, strong)))
    return found


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("{}", "say exactly one of"),
        ('{"shares": [0.6, 0.3, 0.1], "cost_per_1k": 1.5}', "say exactly one of"),
        ('{"shares": [0.6, 0.4]}', "there are 3 tiers, so 3 shares are needed"),
        ('{"shares": [0.6, 0.3, 0.2]}', "add up to 1.1, not to 1"),
        ('{"shares": [0.6, 0.3, 0.1]}', ""),
        ('{"cost_per_1k": 1.5}', ""),
        ('{"min_quality": 0.98}', ""),
    ],
)
def test_exactly_one_target_that_fits_the_tiers(block: str, says: str) -> None:
    target = msgspec.json.decode(block, type=Target)
    assert "".join(text for _, text in target.check(3)).find(says) >= 0
    assert bool(says) == bool(list(target.check(3)))


@pytest.mark.parametrize(
    "block",
    [
        '{"shares": [1.2, -0.2]}',
        '{"cost_per_1k": 0}',
        '{"min_quality": 1.01}',
        '{"share": [1]}',
        '{"cost_per_1k": "1"}',
    ],
)
def test_what_cannot_be_a_target_is_refused(block: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(block, type=Target)


@given(st.floats(0.0003, 0.0059))
def test_a_cost_is_used_up_and_not_exceeded(dollars: float) -> None:
    wanted = for_cost(1000 * dollars, DOLLARS)
    assert wanted.shares is not None
    cost = sum(share * each for share, each in zip(wanted.shares, DOLLARS, strict=True))
    assert dollars * 0.94 <= cost <= dollars
    assert wanted.reason.startswith("$")


def test_of_two_tiers_the_share_follows_from_the_prices() -> None:
    wanted = for_cost(3.0, (0.001, 0.005))
    assert wanted.shares == pytest.approx((0.5, 0.5))


def test_a_cost_below_the_lowest_tier_is_said_to_be_out_of_reach() -> None:
    wanted = for_cost(0.1, DOLLARS)
    assert wanted.shares == (1.0, 0.0, 0.0)
    assert wanted.reason == "cost_per_1k cannot be met: the lowest tier costs $0.20"


def test_a_cost_beyond_all_takes_the_highest_tier_for_everything() -> None:
    assert for_cost(100.0, DOLLARS).shares == (0.0, 0.0, 1.0)


def test_a_cost_waits_for_the_first_tokens() -> None:
    wanted = for_cost(1.5, None)
    assert wanted.shares is None
    assert "no request of any tier was counted yet" in wanted.reason


@pytest.mark.parametrize("count", [0, 99])
def test_a_quality_is_not_promised_without_outcomes(count: int) -> None:
    wanted = for_quality(0.98, judged(count), 3)
    assert wanted.shares is None
    assert wanted.reason == (
        f"min_quality needs 100 requests with outcomes of all tiers, there are {count}: "
        "see `turnout router audit`"
    )


def test_a_quality_takes_no_more_of_the_higher_tiers_than_it_needs() -> None:
    strict, lax = for_quality(0.98, judged(), 3), for_quality(0.8, judged(), 3)
    assert strict.shares is not None
    assert lax.shares is not None
    assert 0.5 < strict.shares[0] < 0.68
    assert lax.shares[0] > strict.shares[0]
    assert "98.0%" in strict.reason


def test_fewer_outcomes_are_less_sure_and_take_more() -> None:
    few, many = for_quality(0.95, judged(120), 3), for_quality(0.95, judged(5_000), 3)
    assert few.shares is not None
    assert many.shares is not None
    assert few.shares[0] < many.shares[0]


def test_what_no_mixture_can_prove_goes_to_the_highest_tier() -> None:
    seldom = [Judged(0.5, (0.0, 0.0))] * 99 + [Judged(0.5, (0.0, 1.0))]
    found = for_quality(0.98, seldom, 2)
    assert found.shares == (0.0, 1.0)
    assert "cannot be proven" in found.reason


def test_equal_scores_are_not_told_apart_by_the_order_of_the_rows() -> None:
    """Here the rows that need the highest tier come last, and nothing in their score says so."""
    rows = [Judged(0.5, (float(number < 700), 1.0)) for number in range(1_000)]
    found = for_quality(0.9, rows, 2)
    assert found.shares is not None
    assert found.shares[1] > 0.6


@given(st.floats(0, 1), st.integers(1, 6))
def test_a_mixture_is_whole(amount: float, tiers: int) -> None:
    assert sum(mixture(amount, tiers)) == pytest.approx(1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_is_never_cheaper(a: float, b: float) -> None:
    less, more = (
        sum(share * each for share, each in zip(mixture(amount, 3), DOLLARS, strict=True))
        for amount in sorted((a, b))
    )
    assert less <= more + 1e-12


def test_a_skipped_tier_leaves_its_share_to_the_next_lower_one() -> None:
    assert without((0.6, 0.3, 0.1), [1]) == pytest.approx((0.9, 0.0, 0.1))
    assert without((0.6, 0.3, 0.1), [2]) == pytest.approx((0.6, 0.4, 0.0))
    assert without((0.6, 0.3, 0.1), [1, 2]) == pytest.approx((1.0, 0.0, 0.0))
    assert without((0.6, 0.3, 0.1), []) == (0.6, 0.3, 0.1)
