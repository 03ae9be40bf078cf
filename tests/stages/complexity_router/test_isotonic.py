"""What scores have come to."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.isotonic import MOST_KNOTS, interpolated, isotonic

numbers = st.floats(-10, 10, allow_subnormal=False)


def test_a_rising_gain_is_kept_and_a_falling_one_is_pooled() -> None:
    assert isotonic([1, 2, 3], [0, 0.5, 1]) == [(1, 0), (2, 0.5), (3, 1)]
    assert isotonic([1, 2, 3], [1, 0.5, 0]) == [(2, 0.5)]
    assert isotonic([1, 2, 3, 4], [0, 1, 0, 1]) == [(1, 0), (2.5, 0.5), (4, 1)]


def test_a_knot_stands_for_as_many_rows_as_are_wanted() -> None:
    assert isotonic([1, 2, 3, 4], [0, 0, 1, 1], 2) == [(1.5, 0), (3.5, 1)]
    assert isotonic([1, 2, 3, 4], [0, 0, 1, 1], 9) == [(2.5, 0.5)]


def test_between_knots_it_is_a_line_and_beyond_them_the_outermost_gain() -> None:
    knots = [(0.0, 0.1), (1.0, 0.3)]
    assert [interpolated(knots, at) for at in (-5, 0, 0.5, 1, 9)] == [0.1, 0.1, 0.2, 0.3, 0.3]


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=200))
def test_knots_rise_and_are_few(rows: list[tuple[float, float]]) -> None:
    knots = isotonic([score for score, _ in rows], [gain for _, gain in rows])
    assert 1 <= len(knots) <= MOST_KNOTS
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(knots))
    gains = [gain for _, gain in rows]
    assert min(gains) - 1e-9 <= knots[0][1] <= knots[-1][1] <= max(gains) + 1e-9
