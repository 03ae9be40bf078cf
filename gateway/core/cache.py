"""What a process's cache is made of. It survives reloads; policies say what is done with it."""

import hmac
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from gateway.core.answers import Answer, AnswerStore, Change, Removed, Selection, Stored
from gateway.core.audits import Audits
from gateway.core.embedding import Embedder, VectorIndex
from gateway.core.flights import Flights
from gateway.core.known import KnownRequests
from gateway.core.shelf import Shelf

REMEMBERED: Final = 256
"""Purges that answers under way are held against."""
_PURPOSE: Final = b"turnout: scopes of the cache"


class Found(Struct, frozen=True):
    """A stored answer that fits, and how it was found."""

    answer: Answer
    semantic: bool = False
    cosine: float = 1.0
    """Of the question that was asked and the one that was answered."""


class Cache(Struct, frozen=True, kw_only=True):
    """Answers at hand and in the store, and how near ones are found.

    `key` is what scopes are digested with: whoever has another one meets other answers.
    """

    store: AnswerStore
    key: bytes
    shelf: Shelf = field(default_factory=Shelf)
    index: VectorIndex | None = None
    embedder: Embedder | None = None
    audits: Audits | None = None
    """What is known of semantic hits; without it all thresholds stay as policies say."""
    flights: Flights[Found] = field(default_factory=Flights)
    renewed: set[str] = field(default_factory=set)
    """Keys whose stale answers are being fetched anew."""
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What happened, by kind and name, for the metrics."""
    known: KnownRequests = field(default_factory=KnownRequests)
    """Requests whose answers were at hand."""
    purges: deque[tuple[float, Selection]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """What was purged when: what was on its way then is not kept."""

    def keep(self, answer: Answer, raw: bytes | None = None) -> None:
        """Keep an answer here and in the store."""
        self.take(answer, raw)
        self.store.put(answer)
        self.events["stored", ""] += 1

    def take(self, answer: Answer, raw: bytes | None = None) -> None:
        """Keep an answer of the store here, too."""
        self.shelf.put(answer, raw)
        index, embedder = self.index, self.embedder
        if index is None or embedder is None or not answer.vector:
            return
        if answer.embedder == embedder.fingerprint:
            index.add(answer.scope, answer.id, answer.vector, answer.tenant)

    def follow(self, changes: Sequence[Change]) -> None:
        """Heed what changed in the store, whoever changed it."""
        for change in changes:
            if isinstance(change, Removed):
                self.forget(change.ids)
            elif not isinstance(change, Stored):
                self.shelf.clear()
                self.known.clear()
                if self.index is not None:
                    self.index.clear()
            elif self.shelf.by_id(change.answer.id, change.answer.stored) is None:
                self.take(change.answer)

    def forget(self, ids: Sequence[str]) -> None:
        """Have nothing of these at hand any more, nor what was read of any request."""
        self.shelf.remove(ids)
        self.known.clear()
        if self.index is not None:
            for name in ids:
                self.index.remove(name)

    def purged_since(self, began: float, answer: Answer) -> bool:
        """Tell whether a purge fits an answer that was asked for at `began`."""
        return any(at >= began and which.fits(answer) for at, which in self.purges)


def open_cache(
    store: AnswerStore,
    pepper: bytes,
    embedder: Embedder | None = None,
    index: VectorIndex | None = None,
    audits: Audits | None = None,
) -> Cache:
    """Return a cache that follows the store from now on; its key comes from the keys' pepper."""
    key = hmac.digest(pepper, _PURPOSE, "sha256")
    cache = Cache(store=store, key=key, embedder=embedder, index=index, audits=audits)
    store.follow(cache.follow)
    return cache
