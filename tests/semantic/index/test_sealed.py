"""Bulks of vectors in FAISS: found as by comparing with each, built anew from what they hold."""

import numpy as np
import pytest

from gateway.semantic.index import sealed
from gateway.semantic.index.sealed import Sealed, seal
from tests.semantic.index.vectors import units

NONE = np.empty(0, np.int64)


def _seal(count: int) -> Sealed:
    return seal(units(count), np.arange(count))


def _numbers(bulk: Sealed, row: int, count: int, most: int = 5) -> list[int]:
    return [number for _, number in bulk.near(units(count)[row], most)]


@pytest.fixture
def many_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists begin to pay early, so that tests need no 25,000 vectors."""
    monkeypatch.setattr(sealed, "IVF_ABOVE", 1000)


def test_flat_bulks_find_what_comparing_with_each_finds() -> None:
    rows, bulk = units(900), _seal(900)
    for row in range(0, 900, 90):
        cosines = rows @ rows[row]
        found = bulk.near(rows[row], 5)
        assert found[0][1] == row
        np.testing.assert_allclose([c for c, _ in found], np.sort(cosines)[::-1][:5], atol=1e-3)


@pytest.mark.usefixtures("many_lists")
def test_bulks_with_lists_find_themselves() -> None:
    bulk = _seal(3000)
    assert all(_numbers(bulk, row, 3000)[0] == row for row in range(0, 3000, 100))


@pytest.mark.usefixtures("many_lists")
@pytest.mark.parametrize("count", [900, 1900])
def test_merging_adds_and_drops_and_leaves_the_old_one_as_it_was(count: int) -> None:
    old = _seal(count)
    rows = units(count)
    new = old.merged(-rows[:3], np.arange(count, count + 3), np.array([5, 6, 99_999]))
    assert new.near(-rows[1], 1)[0][1] == count + 1
    assert new.near(rows[5], 1)[0][1] != 5
    assert old.near(rows[5], 1)[0][1] == 5
    assert (old.count, new.count) == (count, count + 1)


@pytest.mark.usefixtures("many_lists")
@pytest.mark.parametrize("count", [900, 1900])
def test_what_lives_comes_back_with_its_ids(count: int) -> None:
    rows, ids = _seal(count).living(np.array([3, 4]))
    assert set(ids) == set(range(count)) - {3, 4}
    np.testing.assert_allclose(rows, units(count)[ids], atol=1e-3)


@pytest.mark.usefixtures("many_lists")
def test_lists_come_when_they_pay_are_placed_anew_at_double_and_go_when_few_are_left() -> None:
    flat = _seal(900)
    more = units(4000)
    first = flat.merged(more[:200], np.arange(1000, 1200), NONE)
    second = first.merged(more[200:400], np.arange(1200, 1400), NONE)
    third = second.merged(more[400:1400], np.arange(1400, 2400), NONE)
    last = third.merged(more[:0], NONE, np.arange(2000))
    trained = [bulk._trained for bulk in (flat, first, second, third, last)]
    assert trained == [0, 1100, 1100, 2300, 0]
    assert [bulk.count for bulk in (flat, first, second, third)] == [900, 1100, 1300, 2300]
    assert last.near(more[1399], 1)[0][1] == 2399


def test_a_bulk_of_which_nothing_is_left_finds_nothing_and_can_be_filled_again() -> None:
    empty = _seal(300).merged(units(1)[:0], NONE, np.arange(300))
    assert empty.near(units(300)[0], 3) == []
    again = empty.merged(units(300)[:2], np.array([300, 301]), NONE)
    assert again.near(units(300)[1], 1)[0][1] == 301
