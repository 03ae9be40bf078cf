"""The plain matrices that take new vectors."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.semantic.index.tail import BLOCK, Tail
from tests.semantic.index.vectors import DIMENSIONS, unit, units


def _filled(count: int) -> Tail:
    tail = Tail(DIMENSIONS)
    for number, row in enumerate(units(count)):
        tail.add(row, number)
    return tail


def test_the_nearest_come_first_with_their_cosines() -> None:
    rows, tail = units(3 * BLOCK), _filled(3 * BLOCK)
    cosines = rows @ unit(7)
    found = tail.view().near(unit(7), 5)
    assert [number for _, number in found] == list(np.argsort(-cosines)[:5])
    np.testing.assert_allclose([c for c, _ in found], np.sort(cosines)[::-1][:5], atol=1e-6)


def test_an_empty_tail_has_no_neighbours() -> None:
    assert Tail(DIMENSIONS).view().near(unit(1), 3) == []
    assert _filled(2).view().near(unit(1), 3)[0][1] in {0, 1}


def test_the_dead_are_not_found_not_even_by_a_view_taken_before() -> None:
    tail = _filled(BLOCK + 3)
    view = tail.view()
    for number in (0, BLOCK - 1, BLOCK, BLOCK + 2):
        tail.drop(number)
    found = {number for _, number in view.near(unit(3), BLOCK + 3)}
    assert found == set(range(BLOCK + 3)) - {0, BLOCK - 1, BLOCK, BLOCK + 2}


def test_a_view_does_not_see_what_came_later() -> None:
    tail = _filled(3)
    view = tail.view()
    for number in range(3, 600):
        tail.add(unit(1), number)
    assert {number for _, number in view.near(unit(1), 600)} == {0, 1, 2}
    assert len(view) == 3


def test_memory_grows_by_a_block_at_most() -> None:
    row = 4 * DIMENSIONS + 9
    assert [_filled(n).size // row for n in (1, 3, 5, 257, 513)] == [2, 4, 8, 512, 768]


@given(st.integers(1, 3 * BLOCK), st.data())
def test_after_an_id_only_higher_ones_are_left_and_it_can_grow(
    count: int, data: st.DataObject
) -> None:
    last = data.draw(st.integers(-1, count - 1))
    tail = _filled(count)
    dead = data.draw(st.sets(st.integers(0, count - 1), max_size=5))
    for number in dead:
        tail.drop(number)
    rest = tail.after(last)
    rest.add(unit(1), count)
    expected = set(range(last + 1, count + 1)) - dead
    assert {number for _, number in rest.view().near(unit(1), 3 * BLOCK + 1)} == expected


def test_compacting_keeps_what_lives_and_gives_back_the_rest() -> None:
    tail = _filled(600)
    for number in range(600):
        if number % 3:
            tail.drop(number)
    small = tail.compacted()
    rows, ids = small.view().living()
    assert list(ids) == list(range(0, 600, 3))
    np.testing.assert_array_equal(rows, units(600)[::3])
    assert small.size < tail.size / 2
    small.add(unit(1), 600)
    assert small.view().near(unit(1), 1)[0][1] == 600
