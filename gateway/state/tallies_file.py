"""Counts in a file that a machine's workers share."""

from typing import Final

from gateway.core.tallies import Agreed
from gateway.state.tallies import Batch, Cells, Exchange, Found, Wanted
from gateway.state.writer import Connection, Writer

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tallies (
  part INTEGER NOT NULL, name TEXT NOT NULL, cell INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (part, name, cell)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agreed (
  name TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL, part INTEGER NOT NULL
) WITHOUT ROWID
"""
_ADD: Final = """
INSERT INTO tallies VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_AGREE: Final = """
INSERT INTO agreed VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
SET version = excluded.version, body = excluded.body WHERE excluded.version > version
"""
_IN_USE: Final = "UPDATE agreed SET part = ? WHERE name = ? AND part < ?"
_OVER: Final = ("DELETE FROM tallies WHERE part < ?", "DELETE FROM agreed WHERE part < ?")
_CELLS: Final = "SELECT cell, count FROM tallies WHERE part = ? AND name = ?"
_AGREED: Final = "SELECT version, body FROM agreed WHERE name = ?"


def in_file(writer: Writer) -> Exchange:
    """Return the exchange through the tables `tallies` and `agreed`."""

    async def exchange(batch: Batch, wanted: Wanted) -> Found:
        def put(connection: Connection) -> None:
            for over in _OVER:
                connection.execute(over, (wanted.oldest,))
            rows = [(e.part, e.name, *pair) for e in batch.added for pair in e.cells.items()]
            connection.executemany(_ADD, rows)
            settings = batch.proposed.items()
            agreed = [(name, each.version, each.body, wanted.part) for name, each in settings]
            connection.executemany(_AGREE, agreed)
            used = [(wanted.part, name, wanted.part) for name in wanted.agreed]
            connection.executemany(_IN_USE, used)

        def read(connection: Connection) -> Found:
            sums = {name: _sums(connection, wanted, name) for name in wanted.sums}
            rows = {name: connection.execute(_AGREED, (name,)) for name in wanted.agreed}
            return Found(sums, {name: Agreed(*row) for name, of in rows.items() for row in of})

        if batch.added or batch.proposed:
            await writer.ask(put)
        found: Found = await writer.read(read)
        return found

    return exchange


def _sums(connection: Connection, wanted: Wanted, name: str) -> Cells:
    cells: dict[int, int] = {}
    held = 0
    for part in range(wanted.part, wanted.oldest - 1, -1):
        for cell, count in connection.execute(_CELLS, (part, name)):
            cells[cell] = cells.get(cell, 0) + count
            held += count
        if held >= wanted.sums[name]:
            break
    return cells
