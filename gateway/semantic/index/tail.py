"""The newest vectors of a scope: plain matrices to whose last one rows are added."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Vector = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Alive = npt.NDArray[np.bool_]
Found = list[tuple[float, int]]
"""Cosines and ids, the nearest first."""

BLOCK: Final = 256
"""Rows of a block. Growing never copies more than these."""
_FIRST: Final = 2
_NOWHERE: Final = -2.0
"""Below every cosine."""


class Block(Struct):
    """Some rows, their ids, which rise, and whether each is still wanted."""

    rows: Matrix
    ids: Ids
    alive: Alive
    count: int = 0

    def part(self) -> "Block":
        """Return the rows of this moment; later ones are not in it, later deaths are."""
        n = self.count
        return self if n == len(self.ids) else Block(self.rows[:n], self.ids[:n], self.alive[:n], n)

    def doubled(self) -> "Block":
        """Return the rows in matrices with room for as many more."""
        grown = _empty(min(2 * len(self.ids), BLOCK), self.rows.shape[1])
        _fill(grown, self.rows, self.ids, self.alive)
        return grown


class View(Struct, frozen=True):
    """Rows as they were; they may be read on any thread while the tail grows."""

    blocks: Sequence[Block]
    dimensions: int

    def __len__(self) -> int:
        return sum(block.count for block in self.blocks)

    def near(self, vector: Vector, most: int) -> Found:
        """Return the nearest living rows."""
        if not self.blocks:
            return []
        cosines = np.concatenate([_cosines(block, vector) for block in self.blocks])
        ids = np.concatenate([block.ids for block in self.blocks])
        best = np.argpartition(-cosines, min(most, len(cosines)) - 1)[:most]
        found = [(float(cosines[row]), int(ids[row])) for row in best]
        return sorted((pair for pair in found if pair[0] > _NOWHERE), reverse=True)

    def living(self) -> tuple[Matrix, Ids]:
        """Return copies of the rows that are alive, and their ids."""
        none = _empty(0, self.dimensions)
        alive = [(block, block.alive.copy()) for block in (none, *self.blocks)]
        rows = np.concatenate([block.rows[which] for block, which in alive])
        return rows, np.concatenate([block.ids[which] for block, which in alive])


class Tail:
    """Vectors in the order of their ids, which rise."""

    def __init__(self, dimensions: int, blocks: list[Block] | None = None) -> None:
        self._dimensions = dimensions
        self._blocks = blocks or []

    @property
    def count(self) -> int:
        """Rows, the dead ones too."""
        blocks = self._blocks
        return sum(block.count for block in blocks)

    @property
    def size(self) -> int:
        """Bytes that are held, also for rows to come."""
        rooms = sum(len(block.ids) for block in self._blocks)
        return rooms * (4 * self._dimensions + 9)

    def add(self, vector: Vector, number: int) -> None:
        """Append a vector whose id is above all others."""
        blocks = self._blocks
        if not blocks or blocks[-1].count == BLOCK:
            blocks.append(_empty(BLOCK if blocks else _FIRST, self._dimensions))
        elif blocks[-1].count == len(blocks[-1].ids):
            blocks[-1] = blocks[-1].doubled()
        last = blocks[-1]
        last.rows[last.count] = vector
        last.ids[last.count] = number
        last.alive[last.count] = True
        last.count += 1

    def drop(self, number: int) -> None:
        """Mark a row that is there as dead."""
        place = bisect_right(self._blocks, number, key=lambda block: int(block.ids[0])) - 1
        block = self._blocks[place]
        block.alive[np.searchsorted(block.ids[: block.count], number)] = False

    def view(self) -> View:
        """Return the rows of this moment."""
        return View([block.part() for block in self._blocks], self._dimensions)

    def after(self, number: int) -> "Tail":
        """Return the rows with higher ids. This tail is not to be used any more."""
        blocks = []
        for block in self._blocks:
            first = int(np.searchsorted(block.ids[: block.count], number, "right"))
            if first < block.count:
                blocks.append(_rest(block, first) if first else block)
        return Tail(self._dimensions, blocks)

    def compacted(self) -> "Tail":
        """Return what lives, in matrices no larger than need be."""
        rows, ids = self.view().living()
        starts = range(0, len(ids), BLOCK)
        parts = [(rows[start : start + BLOCK], ids[start : start + BLOCK]) for start in starts]
        return Tail(
            self._dimensions, [Block(r, n, np.ones(len(n), np.bool_), len(n)) for r, n in parts]
        )


def _empty(rooms: int, dimensions: int) -> Block:
    return Block(
        np.empty((rooms, dimensions), np.float32), np.empty(rooms, np.int64), np.zeros(rooms, bool)
    )


def _fill(block: Block, rows: Matrix, ids: Ids, alive: Alive) -> None:
    block.count = len(ids)
    block.rows[: block.count] = rows
    block.ids[: block.count] = ids
    block.alive[: block.count] = alive


def _rest(block: Block, first: int) -> Block:
    """Return the rows from `first` on, in a block that can be added to."""
    rest = _empty(len(block.ids), block.rows.shape[1])
    part = block.part()
    _fill(rest, part.rows[first:], part.ids[first:], part.alive[first:])
    return rest


def _cosines(block: Block, vector: Vector) -> Vector:
    cosines: Vector = np.vecdot(block.rows, vector)  # unlike `dot` it never wakes other threads
    cosines[~block.alive] = _NOWHERE
    return cosines
