"""The vectors of one scope: a tail that takes new ones, and a sealed bulk that is swapped whole.

A search reads a tail's view and a sealed bulk, neither of which is written any more; what has gone
since is known here, and dropped from what was found.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from gateway.semantic.index.tail import Found, Ids, Matrix, Tail, Vector, View

if TYPE_CHECKING:
    from gateway.semantic.index.sealed import Sealed

PLAIN: Final = 256
"""Vectors up to which a scope is a plain matrix."""
_MOST_TAIL: Final = 2048
_DEAD: Final = 100
"""One dead vector in so many is worth a new bulk."""
_SPARE: Final = 64


def load_faiss() -> "Callable[[Matrix, Ids], Sealed]":
    """Return `seal`. Blocks for 0.1 s when it is the first to ask."""
    from gateway.semantic.index.sealed import seal  # noqa: PLC0415 - see above

    return seal


class Search(Struct, frozen=True):
    """What to look through, fixed at one moment. `run` may be called on any thread."""

    tail: View
    sealed: "Sealed | None"
    spare: int

    @property
    def rows(self) -> int:
        """Vectors to compare with."""
        return len(self.tail) + (self.sealed.count if self.sealed else 0)

    def run(self, vector: Vector, most: int) -> Found:
        """Return the nearest, `spare` more than asked since some may be gone."""
        found = self.tail.near(vector, most + self.spare)
        if self.sealed is not None:
            found = sorted(found + self.sealed.near(vector, most + self.spare), reverse=True)
        return found


class Merge(Struct, frozen=True):
    """A new bulk to be made of these. `run` may be called on any thread, and takes its time."""

    tail: View
    sealed: "Sealed | None"
    gone: Ids
    last: int
    """The highest id that the new bulk may hold."""

    def run(self) -> "Sealed":
        """Return the new bulk."""
        seal = load_faiss()
        rows, ids = self.tail.living()
        return seal(rows, ids) if self.sealed is None else self.sealed.merged(rows, ids, self.gone)


class Scope:
    """Names and vectors of one scope. Ids rise from vector to vector and are never used again."""

    def __init__(self, dimensions: int) -> None:
        self._tail = Tail(dimensions)
        self._sealed: Sealed | None = None
        self._last = -1
        """The highest id that the bulk may hold."""
        self._names: dict[int, str] = {}
        self._gone: set[int] = set()
        """Ids that the bulk still holds, or that a merge is just putting there."""
        self.merging = False

    def __len__(self) -> int:
        return len(self._names)

    @property
    def size(self) -> int:
        """Bytes that the tail holds; the rest is the same for every vector."""
        return self._tail.size

    @property
    def sealed(self) -> int:
        """Vectors in the bulk, dead ones too."""
        return self._sealed.count if self._sealed else 0

    def add(self, name: str, vector: Vector, number: int) -> None:
        """Add a vector under an id above all others."""
        self._names[number] = name
        self._tail.add(vector, number)

    def remove(self, number: int) -> None:
        """Forget an id that is there."""
        del self._names[number]
        if number <= self._last:
            self._gone.add(number)
        else:
            self._tail.drop(number)
            if self.merging:
                self._gone.add(number)
        few = self._sealed is None and not self.merging
        if few and self._tail.count > 2 * (len(self._names) + 1):
            self._tail = self._tail.compacted()

    def search(self) -> Search:
        """Return what to look through now."""
        return Search(self._tail.view(), self._sealed, min(len(self._gone), _SPARE))

    def named(self, found: Found, most: int) -> list[tuple[str, float]]:
        """Return names and cosines of what is still there."""
        names = self._names
        return [(names[number], cosine) for cosine, number in found if number in names][:most]

    def wants_merge(self) -> bool:
        """Whether a new bulk is worth its making."""
        if self.merging:
            return False
        bulk = self.sealed
        if not bulk:
            return len(self._names) > PLAIN
        return (
            self._tail.count > min(max(PLAIN, bulk // 50), _MOST_TAIL)
            or len(self._gone) > max(PLAIN, bulk) // _DEAD
        )

    @property
    def dead(self) -> int:
        """Vectors that only a merge will free."""
        return len(self._gone)

    def begin(self) -> Merge:
        """Return what the next bulk is made of. Not of an empty scope; followed by `end`."""
        self.merging = True
        gone = np.fromiter(self._gone, np.int64, len(self._gone))
        return Merge(self._tail.view(), self._sealed, gone, next(reversed(self._names)))

    def end(self, merge: Merge, sealed: "Sealed | None") -> None:
        """Take the new bulk in one step; after a failure there is none."""
        self.merging = False
        if sealed is None:
            return
        self._tail = self._tail.after(merge.last)
        self._sealed, self._last = sealed, merge.last
        self._gone.difference_update(merge.gone.tolist())
