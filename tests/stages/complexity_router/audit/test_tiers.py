"""Which tiers are better than the next cheaper one."""

from collections.abc import Sequence

import pytest

from gateway.stages.complexity_router.audit.bootstrap import Interval
from gateway.stages.complexity_router.audit.tiers import Comparison, Verdict, audit, verdict


def rows(*outcomes: tuple[float, ...], times: int = 40) -> list[dict[str, float]]:
    names = ("mini", "haiku", "sonnet")
    return [dict(zip(names, each, strict=True)) for each in outcomes] * times


def verdicts(comparisons: Sequence[Comparison]) -> list[tuple[str, str, Verdict]]:
    return [(each.cheaper, each.dearer, each.verdict) for each in comparisons]


@pytest.mark.parametrize(
    ("low", "high", "pairs", "expected"),
    [
        (-0.2, -0.1, 100, "dominated"),
        (-0.2, 0.0, 100, "dominated"),
        (-0.2, 0.01, 100, "unproven"),
        (0.0, 0.2, 100, "unproven"),
        (0.01, 0.2, 100, "better"),
        (0.01, 0.2, 99, "unproven"),
        (-0.2, -0.1, 99, "unproven"),
    ],
)
def test_the_whole_interval_has_to_say_it(
    low: float, high: float, pairs: int, expected: Verdict
) -> None:
    assert verdict(Interval((low + high) / 2, low, high, pairs)) == expected


def test_tiers_that_grow_better_are_all_kept() -> None:
    found = audit(rows((0, 0, 1), (0, 1, 1), (1, 1, 1)), ("mini", "haiku", "sonnet"))
    assert verdicts(found.comparisons) == [
        ("mini", "haiku", "better"),
        ("haiku", "sonnet", "better"),
    ]
    assert found.dominated == []


def test_a_tier_above_a_dominated_one_is_held_against_the_one_below() -> None:
    found = audit(rows((1, 0, 1), (1, 1, 1), (0, 0, 1)), ("mini", "haiku", "sonnet"))
    assert verdicts(found.comparisons) == [
        ("mini", "haiku", "dominated"),
        ("haiku", "sonnet", "better"),
        ("mini", "sonnet", "better"),
    ]
    assert found.dominated == ["haiku"]


def test_what_beats_only_a_dominated_tier_is_dominated_too() -> None:
    found = audit(rows((1, 0, 1), (1, 1, 0), (1, 0, 1)), ("mini", "haiku", "sonnet"))
    assert found.comparisons[1].verdict == "better"
    assert found.dominated == ["haiku", "sonnet"]


def test_equal_outcomes_are_dominated_for_they_cost_more() -> None:
    found = audit(rows((1, 1, 1), (0, 0, 0), times=50), ("mini", "haiku"))
    assert found.dominated == ["haiku"]


def test_only_requests_that_both_tiers_answered_are_pairs() -> None:
    lonely: list[dict[str, float]] = [{"mini": 1.0}, {"haiku": 0.0}] * 500
    (found,) = audit([*lonely, *rows((0, 1, 1))], ("mini", "haiku")).comparisons
    assert (found.pairs, found.verdict) == (40, "unproven")
    (found,) = audit(lonely, ("mini", "haiku")).comparisons
    assert found == Comparison("mini", "haiku", "unproven", 0, None)


def test_one_tier_is_compared_with_nothing() -> None:
    assert audit(rows((1, 1, 1)), ("mini",)).comparisons == []
    assert audit([], ()).dominated == []
