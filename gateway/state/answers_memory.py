"""Answers in this process alone: gone with it, shared with nobody."""

from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest
from math import inf
from typing import Final

from gateway.core.answers import (
    Answer,
    Change,
    Follower,
    Held,
    Removed,
    Selection,
    StoreCounts,
    Stored,
)
from gateway.core.ports import Clock
from gateway.core.shelf import Shelf
from gateway.state.base import SWEEP

WHEEL: Final = 60.0
"""Seconds: answers whose time runs out within the same span are looked for together."""


class MemoryAnswers:
    """An AnswerStore in dictionaries. Nothing here waits, and followers hear of changes at once."""

    def __init__(self, now: Callable[[], float], limit: int) -> None:
        """`now` is `Limiter.now`, `limit` in bytes of memory."""
        self.counts = StoreCounts()
        self._now = now
        self._shelf = Shelf(limit)
        self._answers: dict[str, Answer] = {}
        """By id, the oldest first."""
        self._due: dict[int, set[str]] = {}
        """Ids by the span in which their time runs out."""
        self._followers: list[Follower] = []

    async def get(self, key: str, /) -> Answer | None:
        return self._shelf.get(key, self._now())

    async def find(self, which: Selection, /, *, most: int) -> Sequence[Answer]:
        now = self._now()
        fitting = (each for each in self._fitting(which) if each.gone_at > now)
        return nlargest(most, fitting, key=lambda answer: answer.stored)

    async def held(self) -> Sequence[Held]:
        kinds: dict[tuple[str, str, str, str], Held] = {}
        for each in self._answers.values():
            kind = (each.tenant, each.policy, each.asked, each.model)
            held = kinds.get(kind) or Held(*kind, 0, 0, each.stored)
            kinds[kind] = held.with_one(each.size, each.stored)
        return [kinds[kind] for kind in sorted(kinds)]

    def put(self, answer: Answer, /) -> None:
        old = self._shelf.get(answer.key, -inf)
        self._forget([answer.id] if old is None else [answer.id, old.id])
        evicted = self._shelf.put(answer)
        if self._shelf.by_id(answer.id, -inf) is None:
            self.counts.dropped += 1
            self._tell(Removed((answer.id,)))
        else:
            self._answers[answer.id] = answer
            self._due.setdefault(int(answer.gone_at // WHEEL), set()).add(answer.id)
            self._tell(Stored(answer))
        self.counts.evicted += self._forget(evicted)

    async def remove(self, which: Selection, /, *, dry_run: bool = False) -> int:
        ids = [answer.id for answer in self._fitting(which)]
        if not dry_run:
            self._forget(ids)
        return len(ids)

    def follow(self, callback: Follower, /) -> None:
        self._followers.append(callback)
        if self._answers:
            callback([Stored(answer) for answer in self._answers.values()])

    async def flush(self) -> None:
        """Return: nothing is ever left behind."""

    def sweep(self) -> None:
        """Remove answers whose time has run out."""
        span = int(self._now() // WHEEL)
        over = [name for due in list(self._due) if due < span for name in self._due[due]]
        self.counts.expired += self._forget(over)

    async def keep_swept(self, clock: Clock) -> None:
        """Sweep until cancelled."""
        while True:
            await clock.sleep(SWEEP)
            self.sweep()

    def _fitting(self, which: Selection) -> Iterator[Answer]:
        if which.id is None:
            return (answer for answer in self._answers.values() if which.fits(answer))
        found = self._answers.get(which.id)
        return iter(() if found is None or not which.fits(found) else (found,))

    def _forget(self, ids: Sequence[str]) -> int:
        gone = []
        for name in ids:
            answer = self._answers.pop(name, None)
            if answer is not None:
                gone.append(name)
                due = int(answer.gone_at // WHEEL)
                self._due[due].discard(name)
                if not self._due[due]:
                    del self._due[due]
        self._shelf.remove(gone)
        if gone:
            self._tell(Removed(tuple(gone)))
        return len(gone)

    def _tell(self, change: Change) -> None:
        for callback in self._followers:
            callback((change,))
