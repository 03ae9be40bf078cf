"""The tables of `answers.db`, and what is done with them inside of one transaction.

Stored, removed and purged share one sequence of numbers, so that whoever follows needs to remember
one number only. Deleting an answer's line, which is small, notes that it is removed; its row is
wiped later, some at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from gateway.core import wire
from gateway.core.answers import Answer, Held, Selection
from gateway.state.answer_rows import pack
from gateway.state.writer import Connection

BATCH: Final = 200
"""Answers that one transaction removes or wipes at most."""
FEW: Final = 8
"""Answers that a tenant loses before it is seen anew which is the largest."""
MAX: Final = (1 << 63) - 1
REMEMBERED: Final = 100_000
"""Removals that are kept for followers; who missed more has to forget everything."""
REFUSED: Final = 60.0
"""Seconds for which a purge refuses answers that are older than it but come later."""
OVERHEAD: Final = 1_024
"""Bytes of the file that an answer takes beside its row, as measured."""
SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS answers (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
  policy TEXT NOT NULL, asked TEXT NOT NULL, model TEXT NOT NULL, tags TEXT NOT NULL,
  corpora TEXT NOT NULL, size INTEGER NOT NULL, stored REAL NOT NULL, gone_at REAL NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS answers_of_tenant ON answers (tenant, n)",
    "CREATE INDEX IF NOT EXISTS answers_gone ON answers (gone_at)",
    "CREATE TABLE IF NOT EXISTS bodies (n INTEGER PRIMARY KEY, row BLOB NOT NULL)",
    """
CREATE TABLE IF NOT EXISTS removed (n INTEGER PRIMARY KEY, id TEXT NOT NULL, body INTEGER)""",
    "CREATE INDEX IF NOT EXISTS unwiped ON removed (n) WHERE body IS NOT NULL",
    """
CREATE TABLE IF NOT EXISTS purges (
  n INTEGER PRIMARY KEY, at REAL NOT NULL, which TEXT NOT NULL, before INTEGER NOT NULL
)""",
    """
CREATE TABLE IF NOT EXISTS tenants (
  tenant TEXT PRIMARY KEY, answers INTEGER NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS numbers (last INTEGER NOT NULL, forgotten INTEGER NOT NULL)",
    """
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON answers BEGIN
  INSERT INTO tenants VALUES (new.tenant, 1, new.size)
  ON CONFLICT (tenant) DO UPDATE SET answers = answers + 1, size = size + excluded.size;
END""",
    """
CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON answers BEGIN
  UPDATE tenants SET answers = answers - 1, size = size - old.size WHERE tenant = old.tenant;
  DELETE FROM tenants WHERE tenant = old.tenant AND answers = 0;
  UPDATE numbers SET last = last + 1;
  INSERT INTO removed SELECT last, old.id, old.n FROM numbers;
END""",
)
_NEXT: Final = "UPDATE numbers SET last = last + 1 RETURNING last"
_ADD: Final = "INSERT INTO answers VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
_DELETE: Final = "DELETE FROM answers WHERE n = ?"
_OLDEST: Final = "SELECT n FROM answers WHERE tenant = ? ORDER BY n LIMIT ?"
_OVER: Final = "SELECT n FROM answers WHERE gone_at <= ? LIMIT ?"
_PURGES: Final = "SELECT n, at, which, before FROM purges WHERE n > ? ORDER BY n"
_LONG_PAST: Final = """
SELECT max(n) FROM removed WHERE n <= (SELECT last FROM numbers) - ? AND body IS NULL
"""
_BY_ID: Final = "SELECT n FROM answers WHERE id = ?"
_FITTING: Final = """
SELECT n, id FROM answers
WHERE n > :after AND n < :before AND tenant = coalesce(:tenant, tenant)
  AND policy = coalesce(:policy, policy) AND asked = coalesce(:asked, asked)
  AND model = coalesce(:model, model)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
  AND (:corpus IS NULL OR EXISTS (SELECT 1 FROM json_each(corpora) WHERE value = :corpus))
ORDER BY n DESC
"""
_TOTAL: Final = "SELECT coalesce(sum(size), 0) FROM tenants"
_LARGEST: Final = "SELECT tenant FROM tenants ORDER BY size DESC LIMIT 1"
_UNWIPED: Final = "SELECT n, body FROM removed WHERE body IS NOT NULL ORDER BY n LIMIT ?"
_HELD: Final = """
SELECT tenant, policy, asked, model, count(*), sum(size), min(stored) FROM answers
WHERE gone_at > ? GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


class Purge(Struct, frozen=True):
    """Every answer of a lower number, or stored up to `at`, that fits `which` is gone."""

    n: int
    at: float
    which: Selection
    before: int
    """From which number downwards it is still to be worked off."""

    def covers(self, n: int, answer: Answer) -> bool:
        """Return whether it removed an answer of this number."""
        return n < self.n and self.which.fits(answer)

    def refuses(self, answer: Answer) -> bool:
        """Return whether an answer comes too late to be stored."""
        return answer.stored <= self.at and self.which.fits(answer)


def prepare(connection: Connection) -> None:
    """Make the tables that are not there yet; what is deleted from now on is overwritten."""
    connection.execute("PRAGMA secure_delete = ON")
    for statement in SCHEMA:
        connection.execute(statement)
    if connection.execute("SELECT 1 FROM numbers").fetchone() is None:
        connection.execute("INSERT INTO numbers VALUES (0, 0)")


def add(connection: Connection, answers: Iterable[Answer]) -> Sequence[str]:
    """Store answers in place of those of the same key; return ids that a purge refuses."""
    purges = purges_of(connection)
    refused = []
    for answer in answers:
        if any(purge.refuses(answer) for purge in purges):
            refused.append(answer.id)
            continue
        row = pack(answer)
        connection.execute("DELETE FROM answers WHERE key = ? OR id = ?", (answer.key, answer.id))
        (n,) = connection.execute(_NEXT).fetchone()
        line = (
            *(n, answer.id, answer.key, answer.tenant, answer.policy, answer.asked, answer.model),
            *(wire.encode(answer.tags).decode(), wire.encode(answer.corpora).decode()),
            *(len(row) + OVERHEAD, answer.stored, answer.gone_at),
        )
        connection.execute(_ADD, line)
        connection.execute("INSERT INTO bodies VALUES (?, ?)", (n, row))
    return refused


def evict(connection: Connection, limit: int) -> int:
    """Remove the oldest of the largest tenants until all fit in `limit` bytes, up to a batch."""
    evicted = 0
    while evicted < BATCH and connection.execute(_TOTAL).fetchone()[0] > limit:
        (tenant,) = connection.execute(_LARGEST).fetchone()
        evicted += delete(connection, connection.execute(_OLDEST, (tenant, FEW)).fetchall())
    return evicted


def expire(connection: Connection, now: float) -> int:
    """Remove answers that are gone by now, up to a batch."""
    return delete(connection, connection.execute(_OVER, (now, BATCH)).fetchall())


def wipe(connection: Connection) -> int:
    """Overwrite the rows of removed answers, up to a batch; return how many."""
    found = connection.execute(_UNWIPED, (BATCH,)).fetchall()
    connection.executemany("DELETE FROM bodies WHERE n = ?", [(body,) for _, body in found])
    connection.executemany("UPDATE removed SET body = NULL WHERE n = ?", [(n,) for n, _ in found])
    return len(found)


def mark(connection: Connection, which: Selection, now: float) -> int:
    """Begin a purge, which everybody goes by from now on; return how many answers it means."""
    number = count(connection, which)
    (n,) = connection.execute(_NEXT).fetchone()
    line = (n, now, wire.encode(which).decode(), n)
    connection.execute("INSERT INTO purges VALUES (?,?,?,?)", line)
    return number


def work_off(connection: Connection, now: float) -> bool:
    """Remove and wipe some of what was purged; tell whether there may be more."""
    for purge in purges_of(connection):
        if purge.before:
            batch = list(islice(fitting(connection, purge.which, purge.before), BATCH))
            delete(connection, [(n,) for n, _ in batch])
            before = batch[-1][0] if len(batch) == BATCH else 0
            connection.execute("UPDATE purges SET before = ? WHERE n = ?", (before, purge.n))
            wipe(connection)
            return True
        if purge.at < now - REFUSED:
            connection.execute("DELETE FROM purges WHERE n = ?", (purge.n,))
    return wipe(connection) > 0


def forget(connection: Connection) -> None:
    """Forget removals that are long past."""
    (n,) = connection.execute(_LONG_PAST, (REMEMBERED,)).fetchone()
    if n is not None:
        connection.execute("DELETE FROM removed WHERE n <= ? AND body IS NULL", (n,))
        connection.execute("UPDATE numbers SET forgotten = ?", (n,))


def purges_of(connection: Connection, after: int = 0) -> list[Purge]:
    """Return the purges that are still worked off or refuse answers."""
    return [
        Purge(n, at, wire.decode_as(which, Selection), before)
        for n, at, which, before in connection.execute(_PURGES, (after,))
    ]


def count(connection: Connection, which: Selection) -> int:
    """Return how many answers a selection means."""
    return sum(1 for _ in fitting(connection, which))


def fitting(
    connection: Connection, which: Selection, before: int = MAX
) -> Iterator[tuple[int, str]]:
    """Yield number and id of a selection's answers below a number, the newest first."""
    after = -1
    if which.id is not None:
        (n,) = connection.execute(_BY_ID, (which.id,)).fetchone() or (0,)
        after, before = n - 1, min(before, n + 1)
    bounds = {"after": after, "before": before}
    return connection.execute(_FITTING, {**bounds, **asdict(which)})


def held(connection: Connection, now: float) -> Sequence[Held]:
    """Return what there is, by kind."""
    return [Held(*line) for line in connection.execute(_HELD, (now,))]


def delete(connection: Connection, numbers: Sequence[tuple[int]]) -> int:
    """Remove the answers of these numbers; return how many that are."""
    connection.executemany(_DELETE, numbers)
    return len(numbers)
