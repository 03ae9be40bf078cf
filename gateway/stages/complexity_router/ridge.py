"""Ridge regression in plain Python: no library to load, none with an order of adding of its own."""

from collections.abc import Sequence
from math import sqrt
from operator import mul
from typing import Final

from msgspec import Struct

_STEPS: Final = 30
_CLOSE: Final = 1e-5
"""Of the first residual; what is left then moves no decision."""

_FAR: Final = 3.0
"""What rows hardly ever had, such as a rule of dashes, would decide alone where it comes up."""

Rows = Sequence[Sequence[float]]


class Scaling(Struct, frozen=True):
    """How each column is brought to a mean of 0 and a deviation of 1."""

    means: list[float]
    scales: list[float]
    """0 where a column is the same in every row: it says nothing."""

    def of(self, row: Sequence[float]) -> list[float]:
        """Return a row as it is compared: what is far out counts as `_FAR` deviations."""
        return [
            max(-_FAR, min(_FAR, (value - mean) / scale)) if scale else 0.0
            for value, mean, scale in zip(row, self.means, self.scales, strict=True)
        ]


def scaling(rows: Rows) -> Scaling:
    """Return the means and deviations of the columns of at least one row."""
    means, scales = [], []
    for column in zip(*rows, strict=True):
        mean = sum(column) / len(column)
        deviation = sqrt(sum([(value - mean) ** 2 for value in column]) / len(column))
        means.append(mean)
        scales.append(deviation if deviation > _CLOSE else 0.0)
    return Scaling(means, scales)


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the sum of the products, as far as the shorter one goes."""
    return sum(map(mul, one, other), 0.0)


def dense_ridge(rows: Rows, targets: Sequence[float], penalty: float) -> list[float]:
    """Return the weights that solve ridge regression on scaled columns. `penalty` is above 0."""
    columns = list(zip(*rows, strict=True))
    gram = [[dot(one, other) for other in columns[: at + 1]] for at, one in enumerate(columns)]
    for at, row in enumerate(gram):
        row[at] += penalty
    return _cholesky_solve(gram, [dot(column, targets) for column in columns])


def _cholesky_solve(lower: list[list[float]], right: list[float]) -> list[float]:
    """Solve with a positive matrix, given as its lower half, which is used up."""
    size = len(right)
    for at, row in enumerate(lower):
        for column in range(at):
            above = lower[column]
            row[column] = (row[column] - dot(row[:column], above[:column])) / above[column]
        row[at] = sqrt(row[at] - dot(row[:at], row[:at]))
    found: list[float] = []
    for row, value in zip(lower, right, strict=True):
        found.append((value - dot(row, found)) / row[len(found)])
    for at in reversed(range(size)):
        rest = sum([lower[below][at] * found[below] for below in range(at + 1, size)])
        found[at] = (found[at] - rest) / lower[at][at]
    return found


def sparse_ridge(
    rows: Sequence[Sequence[int]], targets: Sequence[float], width: int, penalty: float
) -> list[float]:
    """Return ridge weights of `width` columns for rows that name those in which they are not 0.

    Each row has a length of 1 whatever it names, so that a long text weighs no more than a short
    one. Conjugate gradients on the normal equations, with a fixed number of steps at most.
    """
    lengths = [1 / sqrt(len(row) or 1) for row in rows]
    members: list[list[int]] = [[] for _ in range(width)]
    for number, row in enumerate(rows):
        for place in row:
            members[place].append(number)

    def across(values: Sequence[float]) -> list[float]:
        scaled = list(map(mul, values, lengths))
        return [sum(map(scaled.__getitem__, each)) for each in members]

    def along(weights: Sequence[float]) -> list[float]:
        sums = [sum(map(weights.__getitem__, row)) for row in rows]
        return list(map(mul, sums, lengths))

    weights = [0.0] * width
    residual = across(targets)
    direction, size = residual, dot(residual, residual)
    enough = size * _CLOSE**2
    for _ in range(_STEPS):
        if size <= enough:
            break
        turned = [a + penalty * b for a, b in zip(across(along(direction)), direction, strict=True)]
        step = size / dot(direction, turned)
        weights = [w + step * d for w, d in zip(weights, direction, strict=True)]
        residual = [r - step * t for r, t in zip(residual, turned, strict=True)]
        before, size = size, dot(residual, residual)
        direction = [r + size / before * d for r, d in zip(residual, direction, strict=True)]
    return weights
