"""Issued keys in `ledger.db`, followed by every process that has it open."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from gateway.core import wire
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.core.state import IssuedKey
from gateway.state.writer import Connection, Writer

POLL: Final = 0.5
"""Seconds between two looks whether another process changed the table."""
_VERSION: Final = "SELECT version FROM key_version"
_CHANGED: Final = "UPDATE key_version SET version = version + 1"
_ALL: Final = "SELECT body FROM keys ORDER BY created, id"
_ADD: Final = "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)"
_ONE: Final = "SELECT body FROM keys WHERE id = ?"
_SET: Final = "UPDATE keys SET body = ? WHERE id = ?"

Table = Sequence[IssuedKey]
_key = wire.decoder(IssuedKey)


class KeysFile:
    """The Keys of a ledger file."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._followers: list[Callable[[Table], None]] = []
        self._table: Table = ()
        self._version = -1

    async def create(self, key: IssuedKey, /) -> None:
        def change(connection: Connection) -> bool:
            row = (key.id, key.digest, key.created, wire.encode(key))
            added = connection.execute(_ADD, row).rowcount == 1
            if added:
                connection.execute(_CHANGED)
            return added

        if not await self._writer.ask(change):
            raise ValueError(f"the key {key.id} is there already")
        await self._look()

    async def revoke(self, name: str, at: float, /) -> bool:
        def change(connection: Connection) -> bool:
            found = connection.execute(_ONE, (name,)).fetchone()
            if found is None:
                return False
            key = _key.decode(found[0])
            if key.revoked is None:
                connection.execute(_SET, (wire.encode(replace(key, revoked=at)), name))
                connection.execute(_CHANGED)
            return True

        known: bool = await self._writer.ask(change)
        await self._look()
        return known

    async def all(self) -> Table:
        table: Table = await self._writer.read(_all)
        return table

    async def replace(self, table: Table) -> None:
        """Make the file hold just these keys."""

        def change(connection: Connection) -> None:
            connection.execute("DELETE FROM keys")
            rows = [(key.id, key.digest, key.created, wire.encode(key)) for key in table]
            connection.executemany(_ADD, rows)
            connection.execute(_CHANGED)

        await self._writer.ask(change)

    def follow(self, callback: Callable[[Table], None], /) -> None:
        self._followers.append(callback)
        if self._version >= 0:
            callback(self._table)

    async def keep_followed(self) -> None:
        """Look for changes until cancelled."""
        while True:
            with suppress(StateUnavailable):
                await self._look()
            await self._clock.sleep(POLL)

    async def _look(self) -> None:
        def read(connection: Connection) -> tuple[int, Table] | None:
            (version,) = connection.execute(_VERSION).fetchone()
            return None if version == self._version else (version, _all(connection))

        news: tuple[int, Table] | None = await self._writer.read(read)
        if news is None or news[0] <= self._version:
            return
        self._version, self._table = news
        for callback in self._followers:
            callback(self._table)


def _all(connection: Connection) -> Table:
    return tuple(_key.decode(body) for (body,) in connection.execute(_ALL))
