"""The index of the cache: scopes that never meet, one byte budget, searches beside writes."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from gateway.core.embedding import Near
from gateway.core.ports import Clock
from gateway.core.shares import Shares
from gateway.semantic.index.scope import Merge, Scope, Search, load_faiss
from gateway.semantic.index.tail import Found, Vector

if TYPE_CHECKING:
    from gateway.semantic.index.sealed import Sealed

INLINE: Final = 2048
"""Vectors that are searched on the loop: 40 us, where a trip to a thread takes 100."""
SWEEP: Final = 60.0
"""Seconds after which the memory of what was removed is given back."""
_WAITING: Final = 64
_OFF: Final = 1e-3
_PYTHON: Final = 500
"""Bytes that names, places and unused room of one vector take."""
_SCOPE: Final = 2_000
"""Bytes that an empty scope takes."""


class _Place(Struct, frozen=True, gc=False):
    scope: str
    number: int
    owner: str
    size: int


class Index:
    """A VectorIndex in memory. All methods are for the loop's thread; bulks are built off it."""

    def __init__(self, dimensions: int, budget: int) -> None:
        """`budget` bounds the bytes of all scopes together."""
        self.counts: Counter[str] = Counter()
        """Vectors that were `refused` or `evicted`, searches that were `crowded` out."""
        self._dimensions = dimensions
        self._entry = 2 * dimensions + _PYTHON
        self._budget = budget
        self._scopes: dict[str, Scope] = {}
        self._places: dict[str, _Place] = {}
        self._owners: dict[str, OrderedDict[str, None]] = {}
        """The names of each, what was added first in front."""
        self._shares = Shares()
        self._tails = 0
        self._next = 0
        self._waiting = 0
        self._closed = False
        self._searcher = ThreadPoolExecutor(1, "index search")
        self._builder = ThreadPoolExecutor(1, "index build")

    def __len__(self) -> int:
        return len(self._places)

    @property
    def scopes(self) -> int:
        """How many scopes there are."""
        return len(self._scopes)

    @property
    def merging(self) -> int:
        """How many bulks are being built."""
        return sum(scope.merging for scope in self._scopes.values())

    @property
    def size(self) -> int:
        """About the bytes that are held, but for a bulk that is just being built."""
        return len(self._places) * self._entry + len(self._scopes) * _SCOPE + self._tails

    def add(self, scope: str, name: str, vector: bytes, owner: str, /) -> bool:
        """Add or replace; tell whether it was taken. At once visible to `search`."""
        numbers = self._checked(vector)
        if numbers is None or self._closed:
            self.counts["refused"] += 1
            return False
        self.remove(name)
        held = self._scopes.get(scope)
        size = self._entry
        if held is None:
            held = self._scopes[scope] = Scope(self._dimensions)
            size += _SCOPE
        before, number = held.size, self._next
        self._next += 1
        held.add(name, numbers, number)
        self._tails += held.size - before
        self._places[name] = _Place(scope, number, owner, size)
        self._owners.setdefault(owner, OrderedDict())[name] = None
        self._shares.grow(owner, size)
        self._keep_up(scope, held)
        while self.size > self._budget and self._places:
            self.counts["evicted"] += 1
            self.remove(next(iter(self._owners[self._shares.largest(owner)])))
        return name in self._places

    def remove(self, name: str, /) -> None:
        """Forget it; at once invisible. Harmless when it is not there."""
        place = self._places.pop(name, None)
        if place is None:
            return
        self._disown(name, place)
        scope = place.scope
        held = self._scopes[scope]
        before = held.size
        held.remove(place.number)
        self._tails += held.size - before
        if not len(held):
            self._tails -= held.size
            del self._scopes[scope]
        else:
            self._keep_up(scope, held)

    def clear(self) -> None:
        """Forget everything."""
        for held in (self._scopes, self._places, self._owners, self._shares):
            held.clear()
        self._tails = 0

    async def search(self, scope: str, vector: bytes, most: int, /) -> Sequence[Near]:
        """Return up to `most` neighbours in this scope, nearest first.

        Nothing where the scope is empty, the vector is none, or too many searches wait already.
        """
        held, numbers = self._scopes.get(scope), self._checked(vector)
        if held is None or numbers is None or most < 1:
            return ()
        search = held.search()
        if search.rows <= INLINE:
            found = search.run(numbers, most)
        elif self._waiting >= _WAITING:
            self.counts["crowded"] += 1
            return ()
        else:
            found = await self._elsewhere(search, numbers, most)
            if self._scopes.get(scope) is not held:  # all was forgotten meanwhile
                return ()
        return [Near(name, cosine) for name, cosine in held.named(found, most)]

    async def keep(self, clock: Clock) -> None:
        """Give back the memory of what was removed, once a minute, until cancelled."""
        while True:
            await clock.sleep(SWEEP)
            for name, scope in list(self._scopes.items()):
                if scope.dead and not scope.merging:
                    self._merge(name, scope)

    async def warm(self) -> None:
        """Load FAISS, so that no request waits while the first bulk is built."""
        if not self._closed:
            await asyncio.get_running_loop().run_in_executor(self._builder, load_faiss)

    async def aclose(self) -> None:
        """Return when both threads have ended what they were at."""
        self._closed = True
        self.clear()
        await asyncio.to_thread(self._searcher.shutdown)
        await asyncio.to_thread(self._builder.shutdown)

    def _disown(self, name: str, place: _Place) -> None:
        names = self._owners[place.owner]
        del names[name]
        if not names:
            del self._owners[place.owner]
        self._shares.grow(place.owner, -place.size)

    async def _elsewhere(self, search: Search, numbers: Vector, most: int) -> Found:
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._searcher, search.run, numbers, most)
        finally:
            self._waiting -= 1

    def _checked(self, vector: bytes) -> Vector | None:
        """Return the vector when it has our size and norm 1, which no NaN or infinity has."""
        if len(vector) != 4 * self._dimensions:
            return None
        numbers = np.frombuffer(vector, "<f4")
        with np.errstate(over="ignore"):
            square = float(np.vecdot(numbers, numbers))
        return numbers if abs(square - 1) <= 2 * _OFF else None

    def _keep_up(self, name: str, scope: Scope) -> None:
        if scope.wants_merge() and not self._closed:
            self._merge(name, scope)

    def _merge(self, name: str, scope: Scope) -> None:
        merge = scope.begin()
        building = asyncio.get_running_loop().run_in_executor(self._builder, merge.run)
        building.add_done_callback(partial(self._merged, name, scope, merge))

    def _merged(
        self, name: str, scope: Scope, merge: Merge, building: "asyncio.Future[Sealed]"
    ) -> None:
        if building.cancelled() or building.exception() is not None:
            self.counts["failed"] += 1
            scope.end(merge, None)
            return
        before = scope.size
        scope.end(merge, building.result())
        if self._scopes.get(name) is scope:  # it did not go meanwhile
            self._tails += scope.size - before
            self._keep_up(name, scope)
