"""The false-hit budget: what checks prove, and where the threshold goes."""

from collections.abc import Sequence
from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.hit_budget import (
    AGE,
    CLEAN,
    WINDOW,
    Check,
    Group,
    Terms,
    advance,
    checks_of,
    decode,
    encode,
    standing,
    wilson,
)

NOW = 1_700_000_000.0
GROUP = Group("acme", "default", "gpt", Terms(0.94, 0.01))
SHADOW = replace(GROUP, terms=Terms(0.94, 0.01, shadow=True))
scores = st.integers(8_000, 10_000).map(lambda n: n / 10_000)
histories = st.lists(st.tuples(scores, st.booleans()), max_size=60)


def told(group: Group, *checks: tuple[float, bool], at: float = NOW) -> Group:
    return advance(group, [Check(at, score, wrong) for score, wrong in checks], at)


def clean(number: int, score: float = 0.97) -> Sequence[tuple[float, bool]]:
    return [(score, False)] * number


@pytest.mark.parametrize(
    ("checked", "upper"), [(50, 0.0713), (300, 0.0127), (381, 0.00998), (1000, 0.0038)]
)
def test_the_bound_of_clean_checks_is_the_published_one(checked: int, upper: float) -> None:
    assert wilson(0, checked)[0] == 0.0
    assert wilson(0, checked)[1] == pytest.approx(upper, abs=6e-5)


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_share_and_the_shares_it_could_come_from(
    checked: int, data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, checked))
    lower, upper = wilson(wrong, checked)
    assert 0 <= lower <= wrong / checked <= upper <= 1
    for end in (lower, upper):  # each end is as far off as chance goes
        spread = 1.96 * sqrt(end * (1 - end) / checked)
        assert abs(wrong / checked - end) <= spread + 1e-9
    assert wilson(0, 0) == (0.0, 1.0)


def test_nothing_is_known_at_first_and_that_is_said() -> None:
    found = standing(GROUP, NOW)
    assert (found.state, found.risk, found.serves) == ("unproven", "unproven", True)
    found = standing(told(GROUP, *clean(49)), NOW)
    assert found.risk == "unproven"
    found = standing(told(GROUP, *clean(50)), NOW)
    assert (found.state, found.risk) == ("unproven", "<=0.072")
    found = standing(told(GROUP, *clean(400)), NOW)
    assert (found.state, found.risk) == ("proven", "<=0.01")


def test_one_wrong_among_few_raises_it_and_one_among_many_does_not() -> None:
    assert told(GROUP, *clean(10), (0.97, True)).threshold == 0.95
    assert told(GROUP, *clean(100), (0.97, True)).threshold == 0.94


def test_it_rises_until_what_was_wrong_is_below_it() -> None:
    group = told(GROUP, (0.955, True))
    assert group.threshold == 0.95
    group = told(group, (0.99, False))
    assert group.threshold == 0.96
    for _ in range(5):
        group = told(group, (0.99, False))
    assert group.threshold == 0.96
    assert standing(group, NOW).wrong == 0


def test_a_check_below_the_threshold_moves_nothing() -> None:
    group = told(told(GROUP, (0.945, True)), (0.944, True), (0.949, True))
    assert group.threshold == 0.95
    assert (group.checked, group.wrong) == (3, 3)
    assert standing(group, NOW).checked == 0


def test_two_hundred_clean_checks_bring_it_down_a_step_and_never_below_the_policys() -> None:
    group = told(GROUP, (0.945, True), *clean(CLEAN - 1))
    assert group.threshold == 0.95
    group = told(group, *clean(1))
    assert group.threshold == 0.945
    group = told(group, *clean(2 * CLEAN))
    assert group.threshold == 0.94
    assert told(group, *clean(5 * CLEAN)).threshold == 0.94


def test_a_wrong_one_starts_the_count_of_clean_ones_anew() -> None:
    group = told(GROUP, (0.945, True), *clean(CLEAN - 1), (0.97, True), *clean(CLEAN - 1))
    assert group.threshold == 0.95
    assert told(group, *clean(1)).threshold == 0.945


def test_it_does_not_come_down_to_where_the_checks_already_speak_against_it() -> None:
    group = told(GROUP, (0.945, True))
    group = told(group, *[(0.946, True)] * 20, *clean(CLEAN))
    assert group.threshold == 0.95


def test_at_one_nothing_is_served_until_it_is_proven_anew() -> None:
    group = GROUP
    for _ in range(6):
        group = told(group, (1.0, True))
    assert group.threshold == 1.0
    assert standing(group, NOW).state == "exact-only"
    assert not group.serves
    group = told(group, *clean(600, 0.97))
    assert not group.serves
    later = NOW + AGE + 1
    group = told(group, *clean(380, 0.97), at=later)
    assert not group.serves
    group = told(group, *clean(1, 0.97), at=later)
    assert (group.serves, group.threshold) == (True, 0.94)


def test_in_the_shadow_nothing_is_served_before_the_budget_is_proven() -> None:
    group = told(SHADOW, *clean(380))
    assert (group.serves, standing(group, NOW).state) == (False, "shadow")
    group = told(group, *clean(1))
    assert (group.serves, group.threshold) == (True, 0.94)
    assert standing(group, NOW).state == "proven"


def test_out_of_the_shadow_it_serves_from_the_lowest_threshold_that_is_proven() -> None:
    group = told(SHADOW, *[(0.945, True)] * 5, *clean(381, 0.97))
    assert (group.serves, group.threshold) == (True, 0.95)


def test_a_policy_that_no_longer_waits_serves_at_once() -> None:
    group = told(SHADOW, *clean(10))
    assert replace(group, terms=Terms(0.94, 0.01)).serves


def test_what_was_earned_moves_with_the_policys_threshold() -> None:
    group = told(GROUP, (0.945, True))
    assert replace(group, terms=Terms(0.9, 0.01)).threshold == 0.91


def test_old_checks_count_no_more_and_only_the_newest_are_kept() -> None:
    group = told(GROUP, *clean(10))
    assert standing(group, NOW + AGE - 1).checked == 10
    assert standing(group, NOW + AGE + 1).checked == 0
    group = told(GROUP, (0.98, True), *clean(WINDOW))
    assert len(checks_of(group, NOW)) == WINDOW
    assert (group.checked, group.wrong) == (WINDOW + 1, 1)
    assert standing(group, NOW).wrong == 0
    assert len(encode(group)) < 40_000


@given(histories)
def test_the_threshold_stays_between_the_policys_and_one(history: list[tuple[float, bool]]) -> None:
    group = GROUP
    for each in history:
        before = group.threshold
        group = told(group, each)
        assert 0.94 <= group.threshold <= 1.0
        assert group.threshold - before <= 0.01 + 1e-9


@given(st.lists(scores, max_size=60))
def test_clean_checks_alone_never_raise_it(history: list[float]) -> None:
    assert told(GROUP, *((score, False) for score in history)).threshold == 0.94


@given(histories, st.permutations(range(60)))
def test_what_counts_at_a_threshold_is_the_same_in_any_order(
    history: list[tuple[float, bool]], order: list[int]
) -> None:
    mixed = [history[index] for index in order if index < len(history)]
    one, other = (replace(told(GROUP, *each), raised=0) for each in (history, mixed))
    assert standing(one, NOW) == standing(other, NOW)
    assert standing(one, NOW).checked == sum(score >= 0.94 for score, _ in history)


@given(histories)
def test_the_higher_the_threshold_the_fewer_checks_count(history: list[tuple[float, bool]]) -> None:
    group = told(GROUP, *history)
    counts = [standing(replace(group, raised=n), NOW).checked for n in range(13)]
    assert counts == sorted(counts, reverse=True)


@given(histories)
def test_a_group_is_kept_as_it_is(history: list[tuple[float, bool]]) -> None:
    group = told(GROUP, *history)
    assert decode(encode(group)) == group
    for check, (score, wrong) in zip(checks_of(group, NOW), history, strict=True):
        assert (check.at, check.wrong) == (NOW, wrong)
        assert check.score == pytest.approx(score)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"tenant":1}', b"\xff"])
def test_what_is_no_group_is_none(content: bytes) -> None:
    assert decode(content) is None
    assert decode(encode(replace(GROUP, checks=b"12345"))) is None


def test_it_settles_where_hits_are_within_the_budget() -> None:
    """Wrong ones get rarer towards 1: a fifth at 0.94, none from 0.97 on."""
    chance, group = Random(7), GROUP
    for _ in range(4_000):
        score = chance.uniform(0.94, 1.0)
        wrong = chance.random() < max(0.0, 0.2 * (0.97 - score) / 0.03)
        if score >= group.threshold:
            group = told(group, (score, wrong))
    assert 0.955 <= group.threshold <= 0.975
    found = standing(group, NOW)
    assert found.lower <= GROUP.terms.budget
