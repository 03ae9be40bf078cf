"""Records of audited groups that processes share: in a table of `ledger.db`, or elsewhere."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from gateway.core.audits import MOST, Record
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.state.writer import Connection, Writer

POLL: Final = 0.5
"""Seconds between two looks at what others have changed."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS audits (
  name TEXT PRIMARY KEY, revision INTEGER NOT NULL, content BLOB NOT NULL, change INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS audits_by_change ON audits (change)
"""
_ONE: Final = "SELECT name, revision, content FROM audits WHERE name = ?"
_PUT: Final = """
INSERT INTO audits VALUES (?, ?, ?, (SELECT coalesce(max(change), 0) + 1 FROM audits))
ON CONFLICT DO UPDATE
SET revision = excluded.revision, content = excluded.content, change = excluded.change
"""
_ROOM: Final = """
DELETE FROM audits WHERE name IN (
  SELECT name FROM audits ORDER BY change LIMIT max(0, (SELECT count(*) FROM audits) - ?)
)
"""
_SINCE: Final = "SELECT name, revision, content, change FROM audits WHERE change > ?"
_LAST: Final = "SELECT coalesce(max(change), 0) FROM audits"

Changes = tuple[int, Sequence[Record]]
"""The number of the last change, and the records that changed."""


class Shared(Protocol):
    """Where records lie. Raises StateUnavailable."""

    async def swap(self, record: Record, /) -> Record | None: ...

    async def since(self, change: int, /) -> Changes:
        """Return what changed after a change; all, where that one is not known there."""
        ...


class SharedAudits:
    """An AuditStore over a place that several processes share."""

    def __init__(self, shared: Shared, clock: Clock) -> None:
        self._shared = shared
        self._clock = clock
        self._change = 0
        self._followers: list[Callable[[Sequence[Record]], None]] = []

    async def all(self) -> Sequence[Record]:
        _, records = await self._shared.since(0)
        return records

    async def swap(self, record: Record, /) -> Record | None:
        return await self._shared.swap(record)

    def follow(self, callback: Callable[[Sequence[Record]], None], /) -> None:
        self._change = 0  # who is new hears of everything at the next look
        self._followers.append(callback)

    async def keep_followed(self) -> None:
        """Look for changes until cancelled."""
        while True:
            with suppress(StateUnavailable):
                await self.look()
            await self._clock.sleep(POLL)

    async def look(self) -> None:
        """Tell followers what has changed. Raises StateUnavailable."""
        asked = self._change
        last, records = await self._shared.since(asked)
        if self._change == asked:
            self._change = last
        if records:
            for callback in self._followers:
                callback(records)


class AuditsFile:
    """Records in `ledger.db`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def swap(self, record: Record, /) -> Record | None:
        """Keep a record in place of the revision before it, or return what is there."""

        def change(connection: Connection) -> Record | None:
            found = connection.execute(_ONE, (record.name,)).fetchone()
            there = Record(*found) if found else Record(record.name, 0, b"")
            if there.revision != record.revision - 1:
                return there
            connection.execute(_PUT, (record.name, record.revision, record.content))
            connection.execute(_ROOM, (MOST,))
            return None

        answer: Awaitable[Record | None] = self._writer.ask(change)
        return await answer

    async def since(self, change: int, /) -> Changes:
        """Return what changed after a change; all, where that one is not known there."""

        def read(connection: Connection) -> Changes:
            (last,) = connection.execute(_LAST).fetchone()
            if last == change:
                return last, ()
            rows = connection.execute(_SINCE, (change if change < last else 0,)).fetchall()
            # A change between the two statements is told twice, never missed.
            return last, [Record(*row[:3]) for row in rows]

        answer: Awaitable[Changes] = self._writer.read(read)
        return await answer
