"""`ledger.db`: what was used and what it cost, and issued keys; on disk before it is said so."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec.structs import astuple

from gateway.core.ports import Clock
from gateway.core.state import AttemptRow, LedgerRow, RequestRow, Sums
from gateway.state.audits_shared import SCHEMA as AUDITS
from gateway.state.bulletin import SCHEMA as NOTICES
from gateway.state.tallies_file import SCHEMA as TALLIES
from gateway.state.writer import Connection, Writer

LINGER: Final = 0.01
"""Seconds for which rows are gathered into one transaction."""
PATIENCE: Final = 2.0
"""Seconds to wait for other processes; no request waits for the ledger."""
# In the order of time: a row put at a random place costs a page of its own, six times as much.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS requests (
  id TEXT NOT NULL, at REAL NOT NULL, tenant TEXT NOT NULL, key TEXT NOT NULL,
  policy TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, status INTEGER NOT NULL,
  code TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, micro_dollars INTEGER,
  counted TEXT NOT NULL, PRIMARY KEY (at, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
  request TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, tenant TEXT NOT NULL,
  provider TEXT NOT NULL, model TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL,
  input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL,
  output INTEGER NOT NULL, micro_dollars INTEGER, PRIMARY KEY (at, request, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, created REAL NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key_version (version INTEGER NOT NULL);
"""
_ATTEMPTS: Final = "INSERT OR IGNORE INTO attempts VALUES "
_REQUESTS: Final = "INSERT OR IGNORE INTO requests VALUES "
_ROW: Final = "(?,?,?,?,?,?,?,?,?,?,?,?,?)"
_AT_ONCE: Final = (64, 16, 4, 1)
"""Rows a statement: each one gives up and takes back the interpreter's lock, the dear part."""
_SUMS: Final = """
SELECT tenant, count(*), sum(input), sum(output), coalesce(sum(micro_dollars), 0),
  count(*) - count(micro_dollars)
FROM requests WHERE at >= ? GROUP BY tenant
"""

Change: TypeAlias = Callable[[Connection], Any]
"""A change of the file; what it raises is raised to who asked for it."""


class LedgerFile:
    """A Ledger in a file that all worker processes of a machine share."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.writer = Writer(
            *(folder / "ledger.db", _prepare, _apply, clock),
            durable=True,
            linger=LINGER,
            patience=PATIENCE,
        )

    def record(self, rows: Sequence[LedgerRow], /) -> None:
        self.writer.put(rows)

    async def sums(self, since: float, /) -> Mapping[str, Sums]:
        def read(connection: Connection) -> Mapping[str, Sums]:
            return {tenant: Sums(*rest) for tenant, *rest in connection.execute(_SUMS, (since,))}

        sums: Mapping[str, Sums] = await self.writer.read(read)
        return sums

    async def flush(self) -> None:
        await self.writer.flush()


def _prepare(connection: Connection) -> None:
    for schema in (SCHEMA, NOTICES, AUDITS, TALLIES):
        for statement in schema.split(";"):
            connection.execute(statement)
    if connection.execute("SELECT 1 FROM key_version").fetchone() is None:
        connection.execute("INSERT INTO key_version VALUES (0)")


def _apply(
    connection: Connection, changes: Sequence[Change | Sequence[LedgerRow]]
) -> Sequence[Any]:
    attempts, requests, results = [], [], []
    for change in changes:
        if callable(change):
            results.append(change(connection))
            continue
        attempts += [astuple(row) for row in change if type(row) is AttemptRow]
        requests += [astuple(row) for row in change if type(row) is RequestRow]
        results.append(None)
    _insert(connection, _ATTEMPTS, attempts)
    _insert(connection, _REQUESTS, requests)
    return results


def _insert(connection: Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    done = 0
    for size in _AT_ONCE:
        statement = into + ",".join([_ROW] * size)
        while len(rows) - done >= size:
            connection.execute(statement, list(chain.from_iterable(rows[done : done + size])))
            done += size
