"""Notices of targets' health that processes share: read twice a second, posted at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from gateway.core.bulletin import LONGEST, Notice
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.state.writer import Connection, Writer

POLL: Final = 0.5
"""Seconds between two looks at what others have posted."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notices (
  kind TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, mark TEXT NOT NULL,
  id TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (kind, provider, model, mark)
) WITHOUT ROWID
"""
_PUT: Final = """
INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET id = excluded.id, until = excluded.until
"""
# Seconds since the machine's start: of what hung there before, most is too far off to be true.
_OVER: Final = "DELETE FROM notices WHERE NOT until BETWEEN ? AND ?"
_ALL: Final = "SELECT kind, provider, model, until, mark, id FROM notices"

Exchange: TypeAlias = Callable[[Sequence[Notice]], Awaitable[Sequence[Notice]]]
"""Posts notices and returns all that hang there. Raises StateUnavailable."""


class SharedBulletin:
    """A Bulletin of several processes, of which this one is `me`."""

    def __init__(self, exchange: Exchange, clock: Clock, me: str) -> None:
        self._exchange = exchange
        self._clock = clock
        self._me = me
        self._count = 0
        self._posts: dict[tuple[str, ...], tuple[Notice, float]] = {}
        """What is not yet there, with the time at which it is over."""
        self._followers: list[Callable[[Sequence[Notice]], None]] = []
        self._wake = asyncio.Event()

    def post(self, notice: Notice, /) -> None:
        self._count += 1
        named = replace(notice, id=f"{self._me} {self._count}")
        until = self._clock.monotonic() + min(notice.seconds, LONGEST)
        self._posts[notice.kind, notice.provider, notice.model, notice.mark] = named, until
        self._wake.set()

    def follow(self, callback: Callable[[Sequence[Notice]], None], /) -> None:
        self._followers.append(callback)

    async def keep_current(self) -> None:
        """Post and look until cancelled."""
        while True:
            self._wake.clear()
            await self._look()
            timer = self._clock.after(POLL, self._wake.set)
            await self._wake.wait()
            timer.cancel()

    async def _look(self) -> None:
        now, posts = self._clock.monotonic(), self._posts
        self._posts = {}
        left = [replace(notice, seconds=until - now) for notice, until in posts.values()]
        try:
            hanging = await self._exchange([notice for notice in left if notice.seconds > 0])
        except StateUnavailable:
            self._posts = {**posts, **self._posts}
            return
        others = [each for each in hanging if not each.id.startswith(f"{self._me} ")]
        for callback in self._followers:
            callback(others)


def in_file(writer: Writer, clock: Clock) -> Exchange:
    """Return the exchange through the table `notices` of a file that a machine's workers share."""

    async def exchange(posts: Sequence[Notice]) -> Sequence[Notice]:
        now = clock.uptime()

        def put(connection: Connection) -> None:
            connection.execute(_OVER, (now, now + LONGEST))
            rows = [(p.kind, p.provider, p.model, p.mark, p.id, now + p.seconds) for p in posts]
            connection.executemany(_PUT, rows)

        def read(connection: Connection) -> Sequence[Notice]:
            return [
                Notice(kind, provider, model, until - now, mark, name)
                for kind, provider, model, until, mark, name in connection.execute(_ALL)
                if now < until <= now + LONGEST
            ]

        if posts:
            await writer.ask(put)
        hanging: Sequence[Notice] = await writer.read(read)
        return hanging

    return exchange
