"""Recorded traffic for `turnout cache eval`: who would have met whose answer, and was it right."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.core.cache import Cache
from gateway.core.chat import parse_request
from gateway.core.embedding import Embedded
from gateway.core.errors import BadRequest
from gateway.core.exchange import Caller, Exchange
from gateway.core.notes import Notes
from gateway.core.ports import Clock
from gateway.core.traffic import Record
from gateway.policy.setup import Setup
from gateway.semantic.opening import Semantic
from gateway.stages.semantic_cache.admission import text_of, unfit
from gateway.stages.semantic_cache.directives import Directives, directives
from gateway.stages.semantic_cache.history import KNOWN, Earlier, Request, of_traffic
from gateway.stages.semantic_cache.lookup import Lookup, SemanticPolicy
from gateway.stages.semantic_cache.policy import GATES, SemanticCachePolicy
from gateway.stages.semantic_cache.question import normal
from gateway.stages.semantic_cache.scope import Asked, Scopes
from gateway.stages.semantic_cache.scoring import LOWEST, Measured, cosine
from gateway.stages.semantic_cache.stage import unserved
from gateway.stages.when import predicate
from gateway.state.memory import memory_state

SAME: Final = 0.9
"""The cosine of two answers from which on they are taken to say the same."""
_KEY: Final = b"scopes of a log that is read"
_OK: Final = 200

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Embedded]]]


class _Seen(Struct, frozen=True):
    """A recorded request that comes to the cache."""

    record: Record
    asked: Asked
    wish: Directives
    answer: str
    """The answer's text, empty where it was not recorded or tells nothing."""
    comparable: bool
    """Whether similar questions may be looked for."""


async def measure(
    setup: Setup,
    policy: str,
    stage: SemanticCachePolicy,
    records: Sequence[Record],
    *,
    semantic: Semantic,
    embed: Embed,
    clock: Clock,
) -> Measured:
    """Look every request up as the stage would. Raises EmbedderUnavailable."""
    reader = _Reader(setup, policy, stage, semantic, clock)
    seen = [each for each in map(reader.read, records) if each is not None]
    near = await _neighbours(seen, semantic, embed)
    judged = await _judged(seen, near, embed)
    requests = [_request(index, each, judged) for index, each in enumerate(seen)]
    told = sum(bool(each.answer) for each in seen)
    facts = {"records": len(records), **dict(reader.passed), "answers_known": told}
    return of_traffic(requests, stage.ttl, facts)


class _Reader:
    """Reads records as the stage would. `passed` counts those that pass it by, by reason."""

    def __init__(
        self,
        setup: Setup,
        policy: str,
        stage: SemanticCachePolicy,
        semantic: Semantic,
        clock: Clock,
    ) -> None:
        self.passed: Counter[str] = Counter()
        self._policy = policy
        catalogue = setup.catalogue
        self._holds = None if stage.when is None else predicate(stage.when, catalogue)
        self._scopes = Scopes(_KEY, catalogue, shared=stage.shared, epoch=stage.epoch)
        self._fingerprint = semantic.embedder.fingerprint
        cache = Cache(
            store=memory_state(clock).answers,
            key=_KEY,
            embedder=semantic.embedder,
            index=semantic.index,
        )
        self._lookup = Lookup(cache, clock, inf, stage.semantic or SemanticPolicy(), GATES)

    def read(self, record: Record) -> _Seen | None:
        """Return the request, None for one that passes by."""
        try:
            exchange = self._exchange(record)
            wish = directives(record.headers)
        except BadRequest:
            self.passed["bypass_refused"] += 1
            return None
        here = self._holds is None or self._holds(exchange)
        reason = unserved(exchange.request, wish) if here else "skipped"
        if reason:
            self.passed[f"bypass_{reason}"] += 1
            return None
        asked = self._scopes.asked(exchange, b"", self._fingerprint)
        comparable = self._lookup.may_be_near(exchange, asked) == ""
        return _Seen(record, asked, wish, _answer(record), comparable)

    def _exchange(self, record: Record) -> Exchange:
        request = parse_request(
            record.endpoint,
            wire.encode(record.request),
            betas=tuple(record.betas),
            version=record.api_version,
        )
        return Exchange(
            record.id,
            Caller(tenant=record.tenant, labels=record.labels),
            request,
            inf,
            Notes(),
            self._policy,
            record.drop_params,
            dict(record.headers),
        )


def _answer(record: Record) -> str:
    """Return what was answered to this very question, as far as that is known."""
    served = record.cache is not None and record.cache.result == "hit-semantic"
    if record.answer is None or served or not _complete(record):
        return ""
    return text_of(wire.encode(record.answer), record.endpoint)


def _complete(record: Record) -> bool:
    return record.status == _OK and not record.code


def _stores(seen: _Seen) -> bool:
    """Tell whether the answer may be given to others; one that is not known is taken to."""
    record = seen.record
    if not seen.wish.store or not _complete(record):
        return False
    return record.answer is None or not unfit(wire.encode(record.answer), record.endpoint)


def _request(index: int, seen: _Seen, near: Mapping[int, Sequence[Earlier]]) -> Request:
    return Request(
        seen.record.at, seen.asked.key, seen.wish.read, _stores(seen), near.get(index, ())
    )


async def _neighbours(
    seen: Sequence[_Seen], semantic: Semantic, embed: Embed
) -> Mapping[int, Sequence[Earlier]]:
    """Return for every request the earlier ones of its scope that look alike."""
    near: dict[int, Sequence[Earlier]] = {}
    texts = list(dict.fromkeys(_text(each) for each in seen if each.comparable))
    vectors = dict(zip(texts, await embed(texts), strict=True))
    gate = _gate()
    for index, each in enumerate(seen):
        text = _text(each)
        vector = vectors.get(text) if each.comparable else None
        if vector is None or vector.truncated:
            continue
        found = await semantic.index.search(each.asked.scope, vector.vector, KNOWN)
        semantic.index.add(each.asked.scope, str(index), vector.vector, each.record.tenant)
        near[index] = [
            Earlier(int(one.id), one.cosine, gate(text, _text(seen[int(one.id)])))
            for one in found
            if one.cosine >= LOWEST
        ]
    return near


def _gate() -> Callable[[str, str], str]:
    """Return what keeps two questions apart; what a question says is found out once."""
    facts = lru_cache(maxsize=4096)(GATES.facts)
    return lambda asked, stored: GATES.veto(facts(asked), facts(stored))


async def _judged(
    seen: Sequence[_Seen], near: Mapping[int, Sequence[Earlier]], embed: Embed
) -> Mapping[int, Sequence[Earlier]]:
    """Return the neighbours with whether both were answered alike, where that is known."""
    pairs = [(index, one) for index, ones in near.items() for one in ones]
    texts = list(
        dict.fromkeys(
            seen[at].answer for index, one in pairs for at in (index, one.index) if seen[at].answer
        )
    )
    vectors = dict(zip(texts, await embed(texts), strict=True))
    judged: dict[int, list[Earlier]] = {index: [] for index in near}
    for index, one in pairs:
        mine, other = seen[index].answer, seen[one.index].answer
        same = None
        if mine and other:
            same = normal(mine) == normal(other)
            same = same or cosine(vectors[mine].vector, vectors[other].vector) >= SAME
        judged[index].append(Earlier(one.index, one.cosine, one.gate, same))
    return judged


def _text(seen: _Seen) -> str:
    return seen.asked.question.text or ""
