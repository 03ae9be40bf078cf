"""The answers that a process has at hand: bounded in bytes, fair to tenants, nothing waits."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from gateway.core.answers import Answer
from gateway.core.shares import Shares

LIMIT: Final = 256 << 20
"""Bytes of all answers together."""
LARGEST: Final = 8
"""An answer may take this part of the limit: one eighth."""
RAWS: Final = 4
"""Digests of raw requests that lead to one answer; the oldest beyond them is forgotten."""
RAW_SIZE: Final = 160
"""Bytes of one such digest in memory, its places in dictionaries included."""
ENTRY_SIZE: Final = 500
"""Bytes of an answer's places in dictionaries."""


class _Entry(Struct, gc=False):
    answer: Answer
    raws: list[bytes]
    size: int


class Shelf:
    """Answers by key, by id and by the digest of a raw request.

    A tenant may take all room that nobody else needs. When it runs out, what was unused longest
    goes from one that has about the most: whoever has less than half of what the largest has
    loses nothing to others. `now` is epoch seconds; an answer that is gone by then is not returned.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        """`limit` is in bytes of memory."""
        self.size = 0
        self.evictions = 0
        self._limit = limit
        self._tenants: dict[str, OrderedDict[str, _Entry]] = {}
        """Each tenant's entries by key, the longest unused first."""
        self._shares = Shares()
        self._by_key: dict[str, _Entry] = {}
        self._by_id: dict[str, _Entry] = {}
        self._by_raw: dict[bytes, _Entry] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def raw(self, digest: bytes, now: float) -> Answer | None:
        """Return the answer to a request that was just like this one."""
        return self._used(self._by_raw.get(digest), now)

    def get(self, key: str, now: float) -> Answer | None:
        """Return the answer of this exact key."""
        return self._used(self._by_key.get(key), now)

    def by_id(self, name: str, now: float) -> Answer | None:
        """Return the answer of this id."""
        return self._used(self._by_id.get(name), now)

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each tenant takes."""
        return self._shares.amounts()

    def put(self, answer: Answer, raw: bytes | None = None) -> Sequence[str]:
        """Keep an answer, in place of one of the same key; return the ids that had to go for it.

        `raw` is the digest of a request that it answers. To add another one put it again, which
        costs little. One of more than an eighth of the limit is not kept.
        """
        entry = self._by_key.get(answer.key)
        if entry is None or entry.answer.id != answer.id:
            # The same key means the same question, whoever answered it.
            raws = [] if entry is None else entry.raws
            self.remove((answer.id,) if entry is None else (answer.id, entry.answer.id))
            if answer.size + ENTRY_SIZE > self._limit // LARGEST:
                return ()
            entry = self._add(answer)
            for digest in raws:
                self._lead(digest, entry)
        if raw is not None and raw not in self._by_raw:
            self._lead(raw, entry)
        return self._make_room(answer.tenant)

    def remove(self, ids: Iterable[str]) -> None:
        """Forget answers; ids that are not here are fine."""
        for name in ids:
            entry = self._by_id.get(name)
            if entry is not None:
                self._drop(entry)

    def clear(self) -> None:
        """Forget everything."""
        self.size = 0
        for held in (self._tenants, self._shares, self._by_key, self._by_id, self._by_raw):
            held.clear()

    def _used(self, entry: _Entry | None, now: float) -> Answer | None:
        if entry is None:
            return None
        answer = entry.answer
        if answer.gone_at <= now:
            self._drop(entry)
            return None
        self._tenants[answer.tenant].move_to_end(answer.key)
        return answer

    def _add(self, answer: Answer) -> _Entry:
        entry = _Entry(answer, [], 0)
        self._by_key[answer.key] = self._by_id[answer.id] = entry
        self._tenants.setdefault(answer.tenant, OrderedDict())[answer.key] = entry
        self._grow(entry, answer.size + ENTRY_SIZE)
        return entry

    def _lead(self, digest: bytes, entry: _Entry) -> None:
        """Have a raw request's digest lead to this answer."""
        self._by_raw[digest] = entry
        entry.raws.append(digest)
        self._grow(entry, RAW_SIZE)
        if len(entry.raws) > RAWS:
            del self._by_raw[entry.raws.pop(0)]
            self._grow(entry, -RAW_SIZE)

    def _drop(self, entry: _Entry) -> None:
        answer = entry.answer
        entries = self._tenants[answer.tenant]
        del self._by_key[answer.key], self._by_id[answer.id], entries[answer.key]
        for digest in entry.raws:
            del self._by_raw[digest]
        self._grow(entry, -entry.size)
        if not entries:
            del self._tenants[answer.tenant]

    def _grow(self, entry: _Entry, by: int) -> None:
        entry.size += by
        self.size += by
        self._shares.grow(entry.answer.tenant, by)

    def _make_room(self, putter: str) -> Sequence[str]:
        """Evict from the largest tenants, the one that puts first, then each in turn."""
        gone: list[str] = []
        while self.size > self._limit:
            entries = self._tenants[self._shares.largest(putter)]
            entry = next(iter(entries.values()))
            gone.append(entry.answer.id)
            self._drop(entry)
        self.evictions += len(gone)
        return gone
