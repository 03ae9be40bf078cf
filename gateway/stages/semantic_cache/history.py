"""What a cache would have made of recorded requests, each after those before it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from msgspec import Struct

from gateway.stages.semantic_cache.lookup import MOST
from gateway.stages.semantic_cache.scoring import Measured, Score

KNOWN: Final = 4 * MOST
"""Earlier questions that are kept for each: not all of them will have been stored."""


class Earlier(Struct, frozen=True):
    """An earlier request whose question looks alike."""

    index: int
    """Which of all requests."""
    cosine: float
    gate: str = ""
    """What keeps the two apart, whatever the cosine."""
    same: bool | None = None
    """Whether both were answered alike; None where that is not known."""


class Request(Struct, frozen=True):
    """One recorded request as the cache sees it."""

    at: float
    """Seconds since 1970."""
    key: str
    """Equal for equal requests."""
    reads: bool = True
    """Whether it was looked up; others only store."""
    stores: bool = True
    """Whether its answer may be given to others."""
    near: Sequence[Earlier] = ()
    """The nearest first."""


def of_traffic(requests: Sequence[Request], ttl: float, facts: Mapping[str, int]) -> Measured:
    """Return what was looked up of recorded requests; answers are fresh for `ttl` seconds."""
    lookups = sum(each.reads for each in requests)
    positives, negatives = _kinds(requests, ttl)

    def score(threshold: float, gates: bool) -> Score:
        return _Replay(requests, ttl, threshold, gates=gates).score(positives, negatives)

    def vetoes(threshold: float) -> Mapping[str, tuple[int, int]]:
        return _Replay(requests, ttl, threshold, gates=True).vetoes()

    return Measured(f"{lookups:,} look-ups of recorded requests", score, vetoes, facts)


def _kinds(requests: Sequence[Request], ttl: float) -> tuple[set[int], set[int]]:
    """Return which look-ups an earlier answer fits, and which none fits that is near and known."""
    positives: set[int] = set()
    negatives: set[int] = set()
    stale_at: dict[str, float] = {}
    for index, each in enumerate(requests):
        stored = each.reads and each.at < stale_at.get(each.key, -inf)
        if each.reads:
            fresh = [near for near in each.near if each.at < requests[near.index].at + ttl]
            if stored or any(near.same for near in fresh):
                positives.add(index)
            elif any(near.same is False for near in fresh):
                negatives.add(index)
        if each.stores and not stored:
            stale_at[each.key] = each.at + ttl
    return positives, negatives


class _Replay:
    """All requests in their order, at one threshold."""

    def __init__(
        self, requests: Sequence[Request], ttl: float, threshold: float, *, gates: bool
    ) -> None:
        self._requests = requests
        self._ttl = ttl
        self._threshold = threshold
        self._gates = gates
        self._stored: set[int] = set()
        self._exact = 0
        self._hits: dict[int, bool | None] = {}
        """By similar question: whether the answer was right."""
        self._kept: Counter[tuple[str, bool]] = Counter()
        """What gates held back, where nothing else was served."""
        self._run()

    def score(self, positives: set[int], negatives: set[int]) -> Score:
        wrong = {index for index, same in self._hits.items() if same is False}
        return Score(
            threshold=self._threshold,
            gates=self._gates,
            lookups=sum(each.reads for each in self._requests),
            hits=self._exact + len(self._hits),
            exact=self._exact,
            wrong=len(wrong),
            positives=len(positives),
            negatives=len(negatives),
            negatives_hit=len(wrong & negatives),
            unknown=sum(same is None for same in self._hits.values()),
        )

    def vetoes(self) -> Mapping[str, tuple[int, int]]:
        gates = sorted({gate for gate, _ in self._kept})
        return {gate: (self._kept[gate, True], self._kept[gate, False]) for gate in gates}

    def _run(self) -> None:
        keys: dict[str, int] = {}
        for index, each in enumerate(self._requests):
            if each.reads:
                known = keys.get(each.key)
                if known is not None and self._fresh(each, known):
                    self._exact += 1
                    continue
                if self._similar(index, each):
                    continue
            if each.stores:
                keys[each.key] = index
                self._stored.add(index)

    def _similar(self, index: int, request: Request) -> bool:
        """Tell whether an answer to a similar question is served, as the stage would."""
        held: Earlier | None = None
        looked = 0
        for near in request.near:
            if near.cosine < self._threshold or looked == MOST:
                break
            if near.index not in self._stored:
                continue
            looked += 1
            if not self._fresh(request, near.index):
                continue
            if not (self._gates and near.gate):
                self._hits[index] = near.same
                return True
            held = held or near
        if held is not None and held.same is not None:
            self._kept[held.gate, held.same] += 1
        return False

    def _fresh(self, request: Request, index: int) -> bool:
        return request.at < self._requests[index].at + self._ttl
