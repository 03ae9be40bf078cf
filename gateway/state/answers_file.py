"""Answers in `answers.db`, shared by all worker processes of a machine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.core.answers import (
    Answer,
    Cleared,
    Follower,
    Held,
    Removed,
    Selection,
    StoreCounts,
)
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.core.shelf import LARGEST
from gateway.state import answers_table as table
from gateway.state.answers_feed import Feed
from gateway.state.answers_news import News, Place, news_since, one, some
from gateway.state.answers_queue import LINGER, MOST, PATIENCE, Queue, keep_swept
from gateway.state.keys_file import POLL
from gateway.state.writer import Connection, Writer

FILE: Final = "answers.db"
PAUSE: Final = 0.02
"""Seconds between two tries to empty the log of the file."""
TRIES: Final = 3
SLICE: Final = 20
"""Changes that are told at once."""
_EMPTY_LOG: Final = "PRAGMA wal_checkpoint(TRUNCATE)"

_log = logging.getLogger(__name__)

Change = Callable[[Connection], Any]


class AnswersFile:
    """An AnswerStore in a file. One that is damaged is replaced by an empty one."""

    def __init__(self, folder: Path, clock: Clock, now: Callable[[], float], limit: int) -> None:
        """`now` is `Limiter.now`, `limit` in bytes of the file."""
        self.counts = StoreCounts()
        self._path = folder / FILE
        self._clock = clock
        self._now = now
        self._limit = limit
        self._feed = Feed(clock, self.counts)
        self._queue = Queue(self._write, self._feed.lose)
        self._place: Place | None = None
        self._looking = asyncio.Lock()
        self._log_is_empty = False
        self._inode = 0
        self._open = True
        self._writer = self._new_writer()

    async def start(self) -> None:
        """Open the file. Raises StateUnavailable saying what is wrong with it."""
        try:
            await self._writer.start()
        except StateUnavailable:
            if not self._writer.damaged:
                raise
            await self._begin_anew(discard=True)

    async def close(self) -> None:
        """Write what waits, and close the file."""
        with suppress(StateUnavailable):
            await self._queue.flush()
        await self._writer.close()

    async def get(self, key: str, /) -> Answer | None:
        found: News = await self._writer.read(partial(one, key=key, now=self._now()))
        self._drop(found)
        return found.answers[0] if found.answers else None

    async def find(self, which: Selection, /, *, most: int) -> Sequence[Answer]:
        found: News = await self._writer.read(
            partial(some, which=which, most=most, now=self._now())
        )
        self._drop(found)
        return found.answers

    async def held(self) -> Sequence[Held]:
        held: Sequence[Held] = await self._writer.read(partial(table.held, now=self._now()))
        return held

    def put(self, answer: Answer, /) -> None:
        self._feed.put(answer)
        if answer.size > self._limit // LARGEST or not self._queue.put(answer):
            self._feed.lose([answer])

    async def remove(self, which: Selection, /, *, dry_run: bool = False) -> int:
        if dry_run:
            meant: int = await self._writer.read(partial(table.count, which=which))
            return meant
        with suppress(StateUnavailable):
            await self._queue.flush()
        now = self._now()
        count: int = await self._writer.ask(partial(table.mark, which=which, now=now))
        with suppress(StateUnavailable):
            await self._look()
        for _ in range(count // table.BATCH + MOST):
            if not await self._writer.ask(partial(table.work_off, now=now)):
                break
        await self._empty_log()
        return count

    def follow(self, callback: Follower, /) -> None:
        self._feed.follow(callback)
        self._place = None

    async def flush(self) -> None:
        await self._queue.flush()

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield what must run as long as it is used, each with a name."""
        yield "write answers", self._queue.keep_written(self._clock)
        yield "follow answers", self._keep_followed()
        yield "sweep answers", keep_swept(self.sweep, self._clock)

    async def _keep_followed(self) -> None:
        while True:
            try:
                await self._look()
            except StateUnavailable:
                self._feed.miss()
            async with self._looking:
                if self._writer.damaged or not self._open:
                    await self._begin_anew(discard=self._writer.damaged)
            await self._clock.sleep(POLL)

    async def sweep(self) -> bool:
        """Remove some of what is over or too much; tell whether there may be more.

        Raises StateUnavailable.
        """

        def change(connection: Connection) -> tuple[int, int]:
            table.work_off(connection, self._now())
            table.forget(connection)
            return self._make_room(connection)

        removed = self._count(await self._writer.ask(change))
        if not self._log_is_empty:
            await self._empty_log()
        return removed >= table.BATCH

    async def _write(self, answers: Sequence[Answer]) -> None:
        def change(connection: Connection) -> tuple[Sequence[str], tuple[int, int]]:
            refused = table.add(connection, answers)
            made = self._make_room(connection)
            table.wipe(connection)
            return refused, made

        refused, made = await self._writer.ask(change)
        self._count(made)
        if refused:
            self._feed.tell([Removed(tuple(refused))])

    def _make_room(self, connection: Connection) -> tuple[int, int]:
        """Remove some of what is over, then of what is too much; return how many of each."""
        return table.expire(connection, self._now()), table.evict(connection, self._limit)

    def _count(self, made: tuple[int, int]) -> int:
        self.counts.expired += made[0]
        self.counts.evicted += made[1]
        return sum(made)

    async def _look(self) -> None:
        """Tell followers what changed. Raises StateUnavailable."""
        async with self._looking:
            more = self._feed.followed
            while more:
                news: News | None = await self._writer.read(self._news)
                if news is None:
                    await self._begin_anew(discard=False)
                    return
                self._drop(news)
                for start in range(0, len(news.changes), SLICE):
                    if start:
                        await self._writer.flush()  # which lets others have their turn
                    self._feed.tell(news.changes[start : start + SLICE])
                self._place, more = news.place, news.more
            self._feed.hear()

    def _news(self, connection: Connection) -> News | None:
        """Return what changed; None when another file is in the place of this one."""
        if self._path.stat().st_ino != self._inode:
            return None
        return news_since(connection, self._place, self._feed.own)

    def _drop(self, news: News) -> None:
        """Have damaged rows removed."""
        if news.damaged:
            self.counts.damaged += len(news.damaged)
            self._writer.put(partial(table.delete, numbers=[(n,) for n in news.damaged]))

    async def _empty_log(self) -> None:
        """Have what was deleted gone from the write-ahead log too, as soon as nobody reads it."""
        self._log_is_empty = False
        for _ in range(TRIES):
            busy, *_ = await self._writer.read(lambda c: c.execute(_EMPTY_LOG).fetchone())
            if not busy:
                self._log_is_empty = True
                return
            await self._clock.sleep(PAUSE)

    def _new_writer(self) -> Writer:
        return Writer(
            self._path,
            self._prepare,
            _apply,
            self._clock,
            durable=False,
            linger=LINGER,
            patience=PATIENCE,
        )

    def _prepare(self, connection: Connection) -> None:
        table.prepare(connection)
        self._inode = self._path.stat().st_ino

    async def _begin_anew(self, *, discard: bool) -> None:
        """Open the file anew, an empty one if what is there is to be discarded.

        Other processes see that there is another file, and open that.
        """
        old, self._writer = self._writer, self._new_writer()
        self._place = None
        self._feed.tell([Cleared()])
        try:
            await old.close()
            if discard:
                _log.error("%s is damaged: it is replaced by an empty one", self._path)
                await asyncio.to_thread(_discard, self._path, self._inode)
        finally:
            self._writer.run()  # whatever comes: others wait for its answers by now
        try:
            await self._writer.flush()
            self._open = True
        except StateUnavailable:
            self._open = False


def _apply(connection: Connection, changes: Sequence[Change]) -> Sequence[Any]:
    return [change(connection) for change in changes]


def _discard(path: Path, inode: int) -> None:
    """Remove a file, unless another process did so already."""
    with suppress(FileNotFoundError):
        if inode in {0, path.stat().st_ino}:
            for end in ("", "-wal", "-shm"):
                path.with_name(path.name + end).unlink(missing_ok=True)
