"""Speed and success as they age."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.scores import FirstTokens, PeakEwma, Record, wilson


def test_a_slow_answer_is_believed_at_once_and_a_fast_one_slowly() -> None:
    speed = PeakEwma()
    speed.observe(1.0, 0)
    speed.observe(8.0, 1)
    assert speed.seconds == 8.0
    speed.observe(1.0, 2)
    assert 7.5 < speed.seconds < 8.0
    for second in range(3, 120):
        speed.observe(1.0, second)
    assert speed.seconds < 1.2


def test_the_cost_grows_with_who_waits_there_already() -> None:
    speed = PeakEwma()
    speed.observe(2.0, 0)
    assert speed.cost(0, 0) == 2.0
    assert speed.cost(3, 0) == 8.0


def test_an_unused_target_is_forgiven_by_one_request_at_a_time() -> None:
    speed = PeakEwma()
    speed.observe(30.0, 0)
    assert speed.cost(0, 200) < 0.1
    assert speed.cost(1, 200) == 60.0


def test_an_unknown_target_is_tried_by_one_request_first() -> None:
    speed = PeakEwma()
    assert speed.cost(0, 0) == 0
    assert speed.cost(1, 0) > 1_000
    assert speed.cost(2, 0) > speed.cost(1, 0)


@pytest.mark.parametrize(
    ("good", "tries", "bound"),
    [(0, 0, 0.0), (1, 1, 0.207), (9, 10, 0.596), (90, 100, 0.826), (10, 10, 0.722), (0, 5, 0.0)],
)
def test_wilsons_lower_bound_is_that_of_the_textbooks(good: int, tries: int, bound: float) -> None:
    assert wilson(good, tries) == pytest.approx(bound, abs=0.001)


@given(st.integers(1, 10_000), st.data())
def test_the_bound_is_below_what_was_seen(tries: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, tries))
    assert 0 <= wilson(good, tries) <= good / tries + 1e-9


def test_history_fades() -> None:
    record = Record()
    for _ in range(100):
        record.count(0, good=False)
    for second in range(3_000, 3_100):
        record.count(second, good=True)
    assert record.bound() > 0.9


def test_a_quantile_is_within_a_tenth_of_the_truth() -> None:
    chance, tokens = Random(4), FirstTokens()
    truth = sorted(chance.lognormvariate(0, 0.5) for _ in range(900))
    for seconds in truth:
        tokens.observe(seconds)
    for share in (0.5, 0.95, 0.99):
        found = tokens.quantile(share)
        assert found == pytest.approx(truth[int(share * 900)], rel=0.12)


def test_nothing_is_said_before_twenty() -> None:
    tokens = FirstTokens()
    for _ in range(19):
        tokens.observe(0.5)
    assert tokens.quantile(0.5) is None
    tokens.observe(1e9)
    assert tokens.quantile(0.5) == pytest.approx(0.5, rel=0.1)
    assert (tokens.quantile(1.0) or 0) > 1_000


def test_what_is_new_outweighs_what_is_old() -> None:
    tokens = FirstTokens()
    for _ in range(5_000):
        tokens.observe(0.0)
    assert (tokens.quantile(0.95) or 1) < 0.01
    for _ in range(2_000):
        tokens.observe(3.0)
    assert tokens.quantile(0.5) == pytest.approx(3.0, rel=0.1)
