"""The checks of semantic hits as one process knows them, and the store that it shares them by."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import hit_budget, wire
from gateway.core.backlog import Backlog
from gateway.core.errors import StateUnavailable
from gateway.core.hit_budget import Check, Group, Standing, Terms

MOST: Final = 1_000
"""Groups that a store keeps; the one whose last change is oldest goes first."""
WAITING: Final = 1_000
"""Checks of a group that wait to be written; the oldest beyond them are lost."""
PART: Final = 25
"""Checks that are folded before others may go on: about 10 ms where thousands are known."""
LINGER: Final = 0.25
"""Seconds for which checks are gathered."""
TRIES: Final = 8
"""So often a write starts over because another process was faster; then it waits for its turn."""
_FRESH: Final = 60
"""Seconds for which a standing is believed: checks only leave it by their age meanwhile."""


class Record(Struct, frozen=True):
    """What a store keeps of a group. Revisions count from 1; 0 is one that is not there."""

    name: str
    revision: int
    content: bytes


class AuditStore(Protocol):
    """Records of groups, up to MOST, shared by workers and nodes. Fails by StateUnavailable."""

    async def all(self) -> Sequence[Record]:
        """Return every record."""
        ...

    async def swap(self, record: Record, /) -> Record | None:
        """Keep a record in place of the revision before it; return None.

        Where another revision is there, nothing is done and that one is returned.
        """
        ...

    def follow(self, callback: Callable[[Sequence[Record]], None], /) -> None:
        """Call back with what is there, then within a second of changes with what changed."""
        ...


class _News(Struct):
    """What happened in this process and is not in the store yet."""

    group: Group
    hits: int = 0
    checks: list[Check] = []


class _Held(Struct, frozen=True):
    revision: int
    group: Group


_What: TypeAlias = tuple[Group | None, Terms, int]
"""What a standing was found from: the group as it was known, the terms, and the minute."""


class Audits:
    """How every group stands. Nothing here waits but `flush`; `now` is epoch seconds."""

    def __init__(self, store: AuditStore, now: Callable[[], float]) -> None:
        self.lost = 0
        """Checks that could not be written and had to make room."""
        self.backlog = Backlog()
        self._store = store
        self._now = now
        self._held: dict[str, _Held] = {}
        self._news: dict[str, _News] = {}
        self._standings: dict[str, tuple[_What, Standing]] = {}
        store.follow(self._know)

    def standing(self, group: Group) -> Standing:
        """Return how a group stands by the terms of `group`, with what is known of it."""
        name, now = name_of(group), self._now()
        held = self._held.get(name)
        here = None if held is None else held.group
        what = (here, group.terms, int(now // _FRESH))
        known = self._standings.get(name)
        if known is not None and known[0][0] is here and known[0][1:] == what[1:]:
            return known[1]
        found = hit_budget.standing(replace(here or group, terms=group.terms), now)
        if len(self._standings) >= MOST:
            self._standings.clear()
        self._standings[name] = what, found
        return found

    def hit(self, group: Group) -> None:
        """Count a semantic hit that was served."""
        news = self._of(group)
        news.hits += 1

    def add(self, group: Group, score: float, *, wrong: bool) -> None:
        """Take a check in. It counts as soon as it is written."""
        news = self._of(group)
        news.checks.append(Check(self._now(), score, wrong))
        self._bound(news)

    def report(self, tenant: str, policy: str, asked: str) -> None:
        """Take in that a hit was wrong whose score nobody knows: it was served, so it counts."""
        held = self._held.get(name_of(Group(tenant, policy, asked)))
        group = Group(tenant, policy, asked) if held is None else held.group
        self.add(group, group.threshold, wrong=True)

    def groups(self) -> Iterator[tuple[Group, Standing]]:
        """Yield every group with its standing."""
        for held in list(self._held.values()):
            yield held.group, self.standing(held.group)

    async def load(self) -> None:
        """Know what is there, before anything is served. Without the store it comes later."""
        with suppress(StateUnavailable):
            self._know(await self._store.all())

    async def flush(self) -> None:
        """Write what is new. Where the store cannot be reached it is kept for the next time."""
        news, self._news = self._news, {}
        for each in news.values():
            written = False
            with suppress(StateUnavailable):
                written = await self._write_all(each)
            if not written:
                self._put_back(each)

    async def keep_flushed(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Write what is new, again and again, until cancelled."""
        while True:
            await sleep(LINGER)
            await self.flush()

    async def _write_all(self, news: _News) -> bool:
        """Write what is new, and take it out of `news`; tell whether all of it is written."""
        while news.checks or news.hits:
            part = _News(news.group, news.hits, news.checks[:PART])
            if not await self._write(part):
                return False
            news.hits, news.checks = 0, news.checks[PART:]
        return True

    async def _write(self, news: _News) -> bool:
        name = name_of(news.group)
        for _ in range(TRIES):
            held = self._held.get(name) or _Held(0, news.group)
            group = replace(held.group, terms=news.group.terms, hits=held.group.hits + news.hits)
            group = hit_budget.advance(group, news.checks, self._now())
            record = Record(name, held.revision + 1, hit_budget.encode(group))
            there = await self._store.swap(record)
            if there is None:
                self._held[name] = _Held(held.revision + 1, group)
                return True
            if there.revision:
                self._know([there])
            else:  # it had to make room for others: what we know of it is not lost
                self._held[name] = _Held(0, held.group)
        return False

    def _know(self, records: Sequence[Record]) -> None:
        for record in records:
            group = hit_budget.decode(record.content)
            if group is not None:
                self._held[record.name] = _Held(record.revision, group)
        while len(self._held) > MOST:
            del self._held[next(iter(self._held))]

    def _of(self, group: Group) -> _News:
        name = name_of(group)
        news = self._news.get(name)
        if news is None or news.group.terms != group.terms:
            before = news or _News(group)
            news = self._news[name] = _News(group, before.hits, before.checks)
            if len(self._news) > MOST:
                oldest = next(iter(self._news))
                self.lost += len(self._news.pop(oldest).checks)
        return news

    def _put_back(self, news: _News) -> None:
        later = self._of(news.group)
        later.hits += news.hits
        later.checks[:0] = news.checks
        self._bound(later)

    def _bound(self, news: _News) -> None:
        excess = len(news.checks) - WAITING
        if excess > 0:
            self.lost += excess
            del news.checks[:excess]


def name_of(group: Group) -> str:
    """Return a name that no other group has."""
    return wire.encode((group.tenant, group.policy, group.asked)).decode()
