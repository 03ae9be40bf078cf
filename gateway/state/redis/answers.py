"""Answers in Redis, for a fleet: every node follows what every other stores and removes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.core.answers import (
    Answer,
    Change,
    Cleared,
    Follower,
    Held,
    Removed,
    Selection,
    StoreCounts,
    Stored,
)
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Runtime
from gateway.core.shelf import LARGEST
from gateway.state.answer_rows import Damaged, unpack
from gateway.state.answers_feed import Feed
from gateway.state.answers_news import IDS, Place
from gateway.state.answers_queue import MOST, Queue, keep_swept
from gateway.state.answers_table import REFUSED
from gateway.state.redis import answers_words as words
from gateway.state.redis.link import BYTES, Link, Rejected, Unreachable, Word
from gateway.state.redis.recovery import LOOK
from gateway.state.redis.scripts import (
    FEED,
    GET,
    KILL,
    LIST,
    MARK,
    PUT,
    ROWS,
    SWEEP_ANSWERS,
    Script,
)
from gateway.state.writer import PUBLIC

GROUP: Final = 256 << 10
"""Bytes of rows in one answer of the server, which must come in time."""
ONCE: Final = 20
"""Answers that are put in one round trip."""
PAGE: Final = 200
"""Answers, or changes, that one call looks at."""
BATCH: Final = 40
"""Answers of each sort that one call drops: it holds up whoever else calls."""
REMEMBERED: Final = 20_000
"""Removals that are kept for followers; who missed more has to forget everything."""
PATIENCE: Final = 1.0
"""Seconds for which a step of a purge is tried again: whoever waits for it has no deadline."""
PAUSE: Final = 0.1
"""Seconds between two tries."""
TOP: Final = 1 << 53


class RedisAnswers:
    """An AnswerStore in Redis, over a link of its own: large answers hold up no limits."""

    def __init__(self, link: Link, runtime: Runtime, now: Callable[[], float], limit: int) -> None:
        """`now` is `Limiter.now`, `limit` in bytes of the server's memory."""
        self.counts = StoreCounts()
        self._link = link
        self._clock = runtime.clock
        self._new_id = runtime.new_id
        self._now = now
        self._limit = limit
        self._feed = Feed(runtime.clock, self.counts)
        self._queue = Queue(self._write, self._feed.lose)
        self._life = ""
        self._place = Place(0, 0)
        self._looking = asyncio.Lock()
        self._connecting = asyncio.Lock()

    async def start(self) -> None:
        """Connect, if that can be done now."""
        with suppress(Unreachable):
            await self._connect()

    async def get(self, key: str, /) -> Answer | None:
        name, _, row = (await self._ask(GET, key)).partition("\n")
        if not name:
            return None
        answer = await self._sound(name, row.encode(errors=BYTES))
        if answer is not None and answer.key != key:
            self.counts.damaged += 1
            await self._ask(KILL, name)
            return None
        return answer if answer is not None and answer.gone_at > self._now() else None

    async def find(self, which: Selection, /, *, most: int) -> Sequence[Answer]:
        found: list[Answer] = []
        now = self._now()
        async for page in self._pages(which):
            answers = await self._read([name for _, name, _ in page][: most - len(found)])
            found += [answer for answer in answers.values() if answer.gone_at > now]
            if len(found) >= most:
                break
        return found

    async def held(self) -> Sequence[Held]:
        kinds: dict[tuple[str, str, str, str], Held] = {}
        async for page in self._pages(Selection()):
            for _, _, about in page:
                kind = about.kind
                held = kinds.get(kind) or Held(*kind, 0, 0, about.stored)
                kinds[kind] = held.with_one(about.size, about.stored)
        return [kinds[kind] for kind in sorted(kinds)]

    def put(self, answer: Answer, /) -> None:
        self._feed.put(answer)
        if answer.size > self._limit // LARGEST or not self._queue.put(answer):
            self._feed.lose([answer])

    async def remove(self, which: Selection, /, *, dry_run: bool = False) -> int:
        if dry_run:
            return sum([len(page) async for page in self._pages(which)])
        with suppress(StateUnavailable):
            await self._queue.flush()
        await self._insist(MARK, words.selecting(which, self._now()))
        count = 0
        async for page in self._pages(which):
            count += len(page)
            if page:
                await self._insist(KILL, *(name for _, name, _ in page))
        with suppress(StateUnavailable):
            await self._tell_changes()
            for _ in range(count // BATCH + MOST):
                if not await self.sweep():
                    break
        return count

    def follow(self, callback: Follower, /) -> None:
        self._feed.follow(callback)
        self._place = Place(0, self._place.began)

    async def flush(self) -> None:
        await self._queue.flush()

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield what must run as long as it is used, each with a name."""
        yield "call redis for answers", self._link.work()
        yield "write answers", self._queue.keep_written(self._clock)
        yield "follow answers", self._keep_followed()
        yield "sweep answers", keep_swept(self.sweep, self._clock)

    async def _keep_followed(self) -> None:
        while True:
            with suppress(StateUnavailable):
                await self.look()
            await self._clock.sleep(LOOK)

    async def look(self) -> None:
        """Connect if need be, and tell followers what changed. Raises StateUnavailable."""
        try:
            await self._connect()
            await self._tell_changes()
        except (Unreachable, StateUnavailable) as error:
            self._feed.miss()
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error

    async def sweep(self) -> bool:
        """Drop some of what is over, too much or dead; tell whether there may be more.

        Raises StateUnavailable.
        """
        told = await self._ask(SWEEP_ANSWERS, self._limit, BATCH, REMEMBERED, REFUSED)
        expired, evicted, left = map(int, told.split(" "))
        self.counts.expired += expired
        self.counts.evicted += evicted
        return left > 0 or expired + evicted >= BATCH

    async def _write(self, answers: Sequence[Answer]) -> None:
        told: list[str | BaseException] = []
        for start in range(0, len(answers), ONCE):
            puts = (
                self._ask(PUT, *words.putting(answer, self._limit))
                for answer in answers[start : start + ONCE]
            )
            told += await asyncio.gather(*puts, return_exceptions=True)
        pairs = zip(answers, told, strict=True)
        refused = tuple(answer.id for answer, said in pairs if said == words.REFUSED)
        if refused:
            self._feed.tell([Removed(refused)])
        for said in told:
            if isinstance(said, BaseException):
                raise said
            self.counts.evicted += int(said) if said.isdigit() else 0

    async def _tell_changes(self) -> None:
        async with self._looking:
            more = self._feed.followed
            while more:
                asked = (self._new_id(), self._place.seen, PAGE)
                news = words.changed(await self._ask(FEED, *asked))
                if self._missed(news):
                    self._place = Place(0, news.last)
                    self._feed.tell([Cleared()] if self._life else [])
                    self._life = news.life
                    continue
                await self._tell(news)
                more = len(news.lines) == PAGE
            self._feed.hear()

    def _missed(self, news: words.Changes) -> bool:
        """Return whether it is another life of the store, or removals were forgotten meanwhile."""
        place = self._place
        known = max(place.seen, place.began)
        return news.life != self._life or place.seen > news.last or known < news.forgotten

    async def _tell(self, news: words.Changes) -> None:
        own = dict(self._feed.own)
        wanted = [name for _, name, gone in news.lines if not gone and name not in own]
        answers = {**own, **await self._read(wanted)}
        changes: list[Change] = []
        for _, name, gone in news.lines:
            before = changes[-1] if changes else None
            if not gone:
                changes += [Stored(answers[name])] if name in answers else []
            elif isinstance(before, Removed) and len(before.ids) < IDS:
                changes[-1] = Removed((*before.ids, name))
            else:
                changes.append(Removed((name,)))
        self._feed.tell(changes)
        if news.lines:
            self._place = Place(news.lines[-1][0], self._place.began)

    async def _pages(self, which: Selection) -> AsyncIterator[Sequence[words.Line]]:
        """Yield what is known of a selection's answers, the newest first."""
        before, asked = TOP, words.selecting(which)
        while before:
            before, page = words.listed(await self._insist(LIST, asked, before, PAGE))
            yield page

    async def _read(self, ids: Sequence[str]) -> dict[str, Answer]:
        """Return the answers of these ids that are there and sound."""
        found: dict[str, Answer] = {}
        while ids:
            rows = list(words.rows(await self._ask(ROWS, GROUP, *ids)))
            for name, row in zip(ids, rows, strict=False):
                answer = None if row is None else await self._sound(name, row)
                if answer is not None:
                    found[name] = answer
            ids = ids[max(len(rows), 1) :]
        return found

    async def _sound(self, name: str, row: bytes) -> Answer | None:
        """Return the answer in a row; a damaged one is removed."""
        try:
            answer = unpack(row)
        except Damaged:
            self.counts.damaged += 1
            await self._ask(KILL, name)
            return None
        return answer

    async def _ask(self, script: Script, *asked: Word) -> str:
        try:
            return await self._link.ask(script, *asked)
        except (Unreachable, Rejected) as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error

    async def _connect(self) -> None:
        async with self._connecting:
            if not self._link.connected:
                await self._link.connect()

    async def _insist(self, script: Script, *asked: Word) -> str:
        """Ask until there is an answer, for about a second. Raises StateUnavailable."""
        end = self._clock.monotonic() + PATIENCE
        while True:
            try:
                return await self._ask(script, *asked)
            except StateUnavailable:
                if self._clock.monotonic() >= end:
                    raise
            await self._clock.sleep(PAUSE)
            with suppress(Unreachable):
                await self._connect()
