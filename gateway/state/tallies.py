"""Counts that processes share: what each added is sent every few seconds, once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.core.tallies import KEPT, PART, Agreed

POLL: Final = 5.0
"""Seconds between two looks at the store."""
UNASKED: Final = KEPT * PART
"""Seconds after which a name that nobody asks for any more is no longer looked up: as long as what
it counted lasts, since a quiet route may have a request an hour."""

Cells: TypeAlias = Mapping[int, int]


class Added(Struct, frozen=True):
    """What this process added to one part of a name."""

    name: str
    part: int
    cells: Cells


class Batch(Struct, frozen=True):
    """What a process sends. A store that has heard of this number from it leaves `added` out."""

    number: int
    added: Sequence[Added]
    proposed: Mapping[str, Agreed]


class Wanted(Struct, frozen=True):
    """What a process wants to know at the moment `part`."""

    part: int
    sums: Mapping[str, int]
    """How many counts are enough, by name."""
    agreed: Sequence[str]

    @property
    def oldest(self) -> int:
        """The oldest part that counts."""
        return self.part - KEPT + 1


class Found(Struct, frozen=True):
    """What the store knows of it."""

    sums: Mapping[str, Cells]
    agreed: Mapping[str, Agreed]


Exchange: TypeAlias = Callable[[Batch, Wanted], Awaitable[Found]]
"""Carries out a batch and finds what is wanted. Raises StateUnavailable."""


class SharedTallies:
    """The Tallies of one of several processes. `now` is the store's time in epoch seconds."""

    def __init__(self, exchange: Exchange, now: Callable[[], float], clock: Clock) -> None:
        self._exchange = exchange
        self._now = now
        self._clock = clock
        self._adding: dict[tuple[str, int], dict[int, int]] = {}
        self._proposing: dict[str, Agreed] = {}
        self._batch = Batch(0, (), {})
        """Stays as it is until the store has confirmed it: only so it is known to count once."""
        self._enough: dict[str, tuple[int, float]] = {}
        self._settings: dict[str, float] = {}
        self._sums: dict[str, Cells] = {}
        self._agreed: dict[str, Agreed] = {}
        self._alone = asyncio.Lock()

    def add(self, name: str, cell: int, amount: int, /) -> None:
        key = name, int(self._now() // PART)
        cells = self._adding.get(key)
        if cells is None:
            cells = self._adding[key] = {}
        cells[cell] = cells.get(cell, 0) + amount

    def sums(self, name: str, enough: int, /) -> Cells:
        self._enough[name] = enough, self._clock.monotonic()
        return self._sums.get(name, _NOTHING)

    def agreed(self, name: str, /) -> Agreed:
        self._settings[name] = self._clock.monotonic()
        return self._agreed.get(name, _NONE)

    def propose(self, name: str, setting: Agreed, /) -> None:
        self._proposing[name] = setting

    async def keep_current(self) -> None:
        """Send and look until cancelled."""
        while True:
            await self._clock.sleep(POLL)
            await self.look()

    async def look(self) -> None:
        """Send what was added, and see what there is now."""
        async with self._alone:
            wanted = self._wanted()
            if not self._batch.added:
                self._fill(wanted.oldest)
            batch = Batch(self._batch.number, self._batch.added, self._proposing)
            self._proposing = {}
            if not (batch.added or batch.proposed or wanted.sums or wanted.agreed):
                return
            try:
                found = await self._exchange(batch, wanted)
            except StateUnavailable:
                # Proposals are made anew from newer counts; what was counted is sent again.
                return
            self._batch = Batch(self._batch.number, (), {})
            self._see(found)

    def _fill(self, oldest: int) -> None:
        """Make a batch of what was added since the last one and still counts."""
        added = [
            Added(name, part, cells)
            for (name, part), cells in self._adding.items()
            if part >= oldest
        ]
        self._adding = {}
        self._batch = Batch(self._batch.number + 1, added, {})

    def _wanted(self) -> Wanted:
        since = self._clock.monotonic() - UNASKED
        self._enough = {name: each for name, each in self._enough.items() if each[1] >= since}
        self._settings = {name: at for name, at in self._settings.items() if at >= since}
        enough = {name: count for name, (count, _) in self._enough.items()}
        return Wanted(int(self._now() // PART), enough, tuple(self._settings))

    def _see(self, found: Found) -> None:
        """Take over what was found; what did not change stays the same object."""
        before = self._sums
        self._sums = {
            name: before[name] if before.get(name) == cells else cells
            for name, cells in found.sums.items()
        }
        # A store that lost its data may know less than its processes: they tell it again.
        for name in self._settings:
            known, there = self._agreed.get(name, _NONE), found.agreed.get(name, _NONE)
            if there.version < known.version:
                self._proposing.setdefault(name, known)
            elif there != known:
                self._agreed[name] = there
        self._agreed = {name: self._agreed[name] for name in self._settings if name in self._agreed}


_NOTHING: Final[Cells] = {}
_NONE: Final = Agreed()
