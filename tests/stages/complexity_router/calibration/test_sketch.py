"""A sketch of scores: what it knows, and that it does not matter who counted what."""

from collections import Counter
from collections.abc import Sequence
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.calibration.sketch import BINS, Sketch, bin_of

SCORES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=200)
FILLED = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=200)


def cells(scores: Sequence[float]) -> Counter[int]:
    return Counter(map(bin_of, scores))


def same(one: Sketch, two: Sketch) -> bool:
    return [one._counts, one.total] == [two._counts, two.total]


@given(SCORES, SCORES, SCORES)
def test_merging_is_addition_in_any_order(a: list[float], b: list[float], c: list[float]) -> None:
    whole = Sketch(cells(a + b + c))
    assert same(Sketch(cells(c) + cells(a) + cells(b)), whole)
    assert same(Sketch(cells(a) + (cells(b) + cells(c))), whole)
    assert same(Sketch((cells(a) + cells(b)) + cells(c)), whole)
    assert same(Sketch(cells(a) + cells(b)), Sketch(cells(b) + cells(a)))


@given(st.lists(st.floats(allow_nan=False), max_size=300))
def test_it_takes_no_more_room_than_its_bins_whatever_the_scores(scores: list[float]) -> None:
    counted = cells(scores)
    assert all(0 <= cell < BINS for cell in counted)
    assert Sketch(counted).total == len(scores)


@given(FILLED, st.floats(0, 1))
def test_a_place_and_the_share_below_it_are_inverse(scores: list[float], share: float) -> None:
    sketch = Sketch(cells(scores))
    assert sketch.below(sketch.place(share)) == pytest.approx(share, abs=1e-9)


@given(FILLED, st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_has_no_lower_place(scores: list[float], a: float, b: float) -> None:
    sketch = Sketch(cells(scores))
    low, high = sorted((a, b))
    assert sketch.place(low) <= sketch.place(high)


def test_the_share_below_is_that_of_the_scores_themselves() -> None:
    scores = [number / 1000 for number in range(1000)]
    sketch = Sketch(cells(scores))
    for share in (0.1, 0.25, 0.6, 0.9):
        assert sketch.place(share) / BINS == pytest.approx(share, abs=1 / BINS)


def test_equal_scores_are_divided_by_a_place_within_their_bin() -> None:
    sketch = Sketch({bin_of(0.5): 900, bin_of(0.9): 100})
    assert sketch.place(0.6) == pytest.approx(bin_of(0.5) + 600 / 900)
    assert sketch.below(bin_of(0.5) + 600 / 900) == pytest.approx(0.6)


def test_nothing_lies_below_the_place_of_0_and_nothing_above_that_of_1() -> None:
    sketch = Sketch({100: 5, 200: 5})
    assert (sketch.place(0), sketch.place(1)) == (0.0, BINS)
    assert (sketch.below(0), sketch.below(BINS)) == (0.0, 1.0)


def test_what_lies_beyond_is_counted_at_the_end() -> None:
    assert [bin_of(each) for each in (-inf, -1e300, -0.1, 0.0)] == [0, 0, 0, 0]
    assert [bin_of(each) for each in (1.0, 1.1, 1e300, inf)] == [BINS - 1] * 4


def test_what_is_no_number_is_no_score() -> None:
    with pytest.raises(ValueError, match="must be a number"):
        bin_of(nan)


def test_cells_that_are_no_bins_are_left_out() -> None:
    assert Sketch({-1: 7, BINS: 7, 3: 2}).total == 2


def test_an_empty_sketch_has_no_places() -> None:
    with pytest.raises(ValueError, match="no scores"):
        Sketch({}).place(0.5)
    with pytest.raises(ValueError, match="no scores"):
        Sketch({}).below(0.5)
