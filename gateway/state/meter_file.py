"""What this node has charged to each budget, in `ledger.db`: a lost Redis is rebuilt from it."""

from collections.abc import Sequence
from typing import Final

from gateway.core.ports import Clock, Timer
from gateway.state.accounts import MEMORY
from gateway.state.writer import Connection, Writer

LINGER: Final = 0.05
"""Seconds for which charges are added up before they are written."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meter (
  key TEXT PRIMARY KEY, spent INTEGER NOT NULL, ends REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node (id TEXT NOT NULL, epoch TEXT NOT NULL)
"""
_ADD: Final = """
INSERT INTO meter VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET spent = spent + excluded.spent, ends = excluded.ends
"""

Sum = tuple[str, int, float]
"""A budget's key, what was charged to it, and when its window ends."""


class MeterFile:
    """Sums of charges, beside the ledger's rows and just as durable."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._sums: dict[str, tuple[int, float]] = {}
        self._timer: Timer | None = None

    async def node(self, fresh: str) -> tuple[str, str]:
        """Return this data directory's lasting name, `fresh` at first, and its last epoch."""

        def change(connection: Connection) -> tuple[str, str]:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            found = connection.execute("SELECT id, epoch FROM node").fetchone()
            if found is None:
                found = (fresh, "")
                connection.execute("INSERT INTO node VALUES (?, ?)", found)
            name, epoch = found
            return name, epoch

        known: tuple[str, str] = await self._writer.ask(change)
        return known

    def add(self, key: str, amount: int, ends: float) -> None:
        """Add a charge; it is on disk soon."""
        before, _ = self._sums.get(key, (0, 0.0))
        self._sums[key] = before + amount, ends
        if self._timer is None:
            self._timer = self._clock.after(LINGER, self.hand_over)

    def hand_over(self) -> None:
        """Have written what was added so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sums:
            rows = [(key, amount, ends) for key, (amount, ends) in self._sums.items()]
            self._sums = {}
            self._writer.put(lambda connection: connection.executemany(_ADD, rows))

    async def sums(self, now: float) -> Sequence[Sum]:
        """Return the sums of every window that is not long over, and drop the others."""

        def change(connection: Connection) -> Sequence[Sum]:
            connection.execute("DELETE FROM meter WHERE ends < ?", (now - MEMORY,))
            return connection.execute("SELECT key, spent, ends FROM meter").fetchall()

        self.hand_over()
        sums: Sequence[Sum] = await self._writer.ask(change)
        return sums

    async def restored(self, epoch: str) -> None:
        """Note that the sums are in Redis as of this epoch."""
        await self._writer.ask(lambda c: c.execute("UPDATE node SET epoch = ?", (epoch,)).rowcount)
