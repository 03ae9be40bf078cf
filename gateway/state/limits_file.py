"""`limits.db`: counters and leases that all worker processes of a machine share."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec import Struct

from gateway.core import wire
from gateway.core.ports import Clock
from gateway.core.state import Decision, Lease, Refused, Reserve
from gateway.state.accounts import Accounts, Counter
from gateway.state.base import SWEEP, SWEPT
from gateway.state.writer import Connection, Writer

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
LINGER: Final = 0.02
"""Seconds for which a settlement may wait for a reservation to share its transaction."""
PATIENCE: Final = 0.1
"""Seconds to wait for other processes: a caller waits for them, who is refused in the end."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS counters (
  key TEXT PRIMARY KEY, spent INTEGER NOT NULL, held INTEGER NOT NULL,
  level REAL NOT NULL, at REAL NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
  id TEXT PRIMARY KEY, expires REAL NOT NULL, held BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (boot TEXT NOT NULL, start REAL NOT NULL)
"""
_COUNTERS: Final = "SELECT * FROM counters WHERE key IN (SELECT value FROM json_each(?))"
_LEASES: Final = "SELECT id, held FROM leases WHERE id IN (SELECT value FROM json_each(?))"
_OVER: Final = "SELECT id FROM leases WHERE expires <= ? LIMIT ?"
_PUT_COUNTER: Final = "INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?, ?, ?)"
_PUT_LEASE: Final = "INSERT OR REPLACE INTO leases VALUES (?, ?, ?)"
_DROP_LEASE: Final = "DELETE FROM leases WHERE id = ?"
_NEXT_KEYS: Final = "SELECT key FROM counters WHERE key > ? ORDER BY key LIMIT ?"
_DROP_COUNTERS: Final = (
    "DELETE FROM counters WHERE key > ? AND key <= ? AND held = 0 AND until <= ?"
)
_OLDER: Final = "SELECT count(*) FROM leases WHERE CAST(substr(held, 1, 1) AS TEXT) = '{'"
"""How many leases have the shape of versions before 22 November 2026: a JSON object."""
_CHARGE_ALL: Final = (
    # Of those that hold something only budgets, which end some day, are charged.
    "UPDATE counters SET spent = spent + iif(until > 0, held, 0), held = 0 WHERE held != 0",
    "DELETE FROM leases",
)

_lease = wire.decoder(Lease)
_log = logging.getLogger(__name__)


class Lower(Struct, frozen=True):
    """Give back a part."""

    id: str
    amounts: Sequence[int]


class Settle(Struct, frozen=True):
    """Charge what was used, or as reserved where that is None, and end."""

    id: str
    used: Sequence[int] | None


class Release(Struct, frozen=True):
    """Give everything back and end."""

    id: str


class Sweep(Struct, frozen=True):
    """Charge leases that are over."""


Operation: TypeAlias = Reserve | Lower | Settle | Release | Sweep

Before: TypeAlias = tuple[int, int, float, float, float]
"""What a counter was: spent, held, level, at and until."""
_NEW: Final[Before] = (0, 0, 0.0, 0.0, 0.0)


class LimitsFile:
    """A Limiter whose every group of operations is one transaction of a shared file.

    The write lock is held from before the counters are read, so that processes admit exactly what
    one process would.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._start = 0.0
        self._swept = ""
        self.writer = Writer(
            *(folder / "limits.db", self._prepare, self._apply, clock),
            durable=False,
            linger=LINGER,
            patience=PATIENCE,
        )

    def now(self) -> float:
        return self._start + self._clock.uptime()

    async def reserve(self, request: Reserve, /) -> Decision:
        try:
            decision: Decision = await self.writer.ask(request)
        except asyncio.CancelledError:
            # It may be decided already: whoever asked is gone, so it is given back in its turn.
            self.writer.put(Release(request.id))
            raise
        return decision

    def lower(self, lease: Lease, amounts: Sequence[int], /) -> None:
        self.writer.put(Lower(lease.id, amounts))

    def settle(self, lease: Lease, used: Sequence[int] | None, /) -> None:
        self.writer.put(Settle(lease.id, used))

    def release(self, lease: Lease, /) -> None:
        self.writer.put(Release(lease.id))

    async def flush(self) -> None:
        await self.writer.flush()

    async def keep_swept(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self._clock.sleep(SWEEP)
            self.writer.put(Sweep())

    def _prepare(self, connection: Connection) -> None:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        _end_older(connection)
        self._start = _anchor(connection, self._clock)

    def _apply(self, connection: Connection, operations: Sequence[Operation]) -> Sequence[Any]:
        now = self.now()
        names = [op.id for op in operations if isinstance(op, Lower | Settle | Release)]
        over = []
        if any(isinstance(op, Sweep) for op in operations):
            over = [name for (name,) in connection.execute(_OVER, (now, SWEPT))]
            self._drop_counters(connection, now)
        accounts, before = _load(connection, operations, [*names, *over])
        stored = set(accounts.leases)
        accounts.expire(over, now)
        results = [_do(accounts, operation, now) for operation in operations]
        if all(type(result) is Refused for result in results):
            _forget_refused(accounts, before)
        changed = {*names, *over, *(op.id for op in operations if isinstance(op, Reserve))}
        _store(connection, accounts, before, changed, stored)
        return results

    def _drop_counters(self, connection: Connection, now: float) -> None:
        """Look at the next counters in the order of their keys, and start over after the last."""
        keys = [key for (key,) in connection.execute(_NEXT_KEYS, (self._swept, SWEPT))]
        if keys:
            connection.execute(_DROP_COUNTERS, (self._swept, keys[-1], now))
        self._swept = keys[-1] if len(keys) == SWEPT else ""


def _end_older(connection: Connection) -> None:
    """Charge in full what an older version left in flight, whose leases cannot be read."""
    (older,) = connection.execute(_OLDER).fetchone()
    if older:
        for statement in _CHARGE_ALL:
            connection.execute(statement)
        _log.warning(
            "limits.db: %d requests that an older version left under way are charged in full", older
        )


def _do(accounts: Accounts, operation: Operation, now: float) -> Decision | None:
    if isinstance(operation, Reserve):
        return accounts.reserve(operation, now)
    if isinstance(operation, Lower):
        accounts.lower(operation.id, operation.amounts, now)
    elif isinstance(operation, Settle):
        accounts.settle(operation.id, operation.used, now)
    elif isinstance(operation, Release):
        accounts.release(operation.id, now)
    return None


def _load(
    connection: Connection, operations: Iterable[Operation], names: Sequence[str]
) -> tuple[Accounts, dict[str, Before]]:
    """Return the leases of these names and every counter that the operations may touch."""
    accounts = Accounts()
    keys = {limit.key for op in operations if isinstance(op, Reserve) for limit in op.limits}
    if names:
        for name, body in connection.execute(_LEASES, (wire.encode(names).decode(),)):
            lease = accounts.leases[name] = _lease.decode(body)
            keys.update(limit.key for limit in lease.limits)
    before = {}
    if keys:
        for row in connection.execute(_COUNTERS, (wire.encode(list(keys)).decode(),)):
            key, spent, held_amount, level, at, until = row
            accounts.counters[key] = Counter(spent, held_amount, level, at, until)
            before[key] = (spent, held_amount, level, at, until)
    return accounts, before


def _forget_refused(accounts: Accounts, before: Mapping[str, Before]) -> None:
    """Leave out what is as it was: what refused requests took was given back."""
    for key, counter in list(accounts.counters.items()):
        if key not in before or counter.at >= before[key][3]:
            del accounts.counters[key]


def _store(
    connection: Connection,
    accounts: Accounts,
    before: Mapping[str, Before],
    changed: Iterable[str],
    stored: set[str],
) -> None:
    """Write what is not as it was."""
    rows = []
    for key, counter in accounts.counters.items():
        now = (counter.spent, counter.held, counter.level, counter.at, counter.until)
        if now != before.get(key, _NEW):
            rows.append((key, *now))
    connection.executemany(_PUT_COUNTER, rows)
    leases = accounts.leases
    ended = [(name,) for name in stored if name not in leases]
    connection.executemany(_DROP_LEASE, ended)
    connection.executemany(
        _PUT_LEASE,
        [
            (name, leases[name].expires, wire.encode(leases[name]))
            for name in changed
            if name in leases
        ],
    )


def _anchor(connection: Connection, clock: Clock) -> float:
    """Return the epoch time of this machine's start, as whoever came first since then saw it.

    Steps of the wall clock after that do not move it, and every process reads the same time.
    """
    boot = ""
    with suppress(OSError):
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    start = clock.wall() - clock.uptime()
    # Where the system has no name for a boot, its time to the minute must do.
    boot = boot or str(round(start / 60))
    found = connection.execute("SELECT start FROM clock WHERE boot = ?", (boot,)).fetchone()
    if found is not None:
        return float(found[0])
    connection.execute("DELETE FROM clock")
    connection.execute("INSERT INTO clock VALUES (?, ?)", (boot, start))
    return start
