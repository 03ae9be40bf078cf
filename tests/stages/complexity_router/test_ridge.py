"""Ridge regression, beside another solver."""

import random

import pytest

from gateway.stages.complexity_router.ridge import dense_ridge, dot, scaling, sparse_ridge

np = pytest.importorskip("numpy", reason="the extra `semantic` is not installed")


def test_dense_weights_are_those_of_the_normal_equations() -> None:
    chance = random.Random(1)
    rows = [[chance.gauss(0, 1) for _ in range(7)] for _ in range(90)]
    targets = [chance.gauss(0, 1) for _ in rows]
    matrix = np.array(rows)
    expected = np.linalg.solve(matrix.T @ matrix + 3 * np.eye(7), matrix.T @ np.array(targets))
    assert dense_ridge(rows, targets, 3.0) == pytest.approx(list(expected))


def test_sparse_weights_are_those_of_the_normal_equations() -> None:
    chance = random.Random(2)
    rows = [sorted(chance.sample(range(40), chance.randint(0, 9))) for _ in range(120)]
    targets = [chance.gauss(0, 1) for _ in rows]
    matrix = np.zeros((120, 40))
    for number, row in enumerate(rows):
        matrix[number, row] = 1 / np.sqrt(len(row) or 1)
    expected = np.linalg.solve(matrix.T @ matrix + 2 * np.eye(40), matrix.T @ np.array(targets))
    assert sparse_ridge(rows, targets, 40, 2.0) == pytest.approx(list(expected), abs=1e-4)


def test_columns_are_scaled_and_those_that_never_change_say_nothing() -> None:
    scaled = scaling([[1.0, 5.0], [3.0, 5.0]])
    assert (scaled.means, scaled.scales) == ([2.0, 5.0], [1.0, 0.0])
    assert scaled.of([4.0, 900.0]) == [2.0, 0.0]
    assert dense_ridge([scaled.of([1, 5]), scaled.of([3, 5])], [-1, 1], 1.0)[1] == 0


def test_what_is_far_out_counts_as_three_deviations() -> None:
    scaled = scaling([[1.0], [3.0]])
    assert (scaled.of([900.0]), scaled.of([-900.0])) == ([3.0], [-3.0])


def test_a_product_goes_as_far_as_the_shorter_one() -> None:
    assert dot([1, 2, 3], [4, 5]) == 14
