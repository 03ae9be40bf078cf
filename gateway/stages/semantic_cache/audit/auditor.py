"""The audit of semantic hits: which are checked, by whose answer, and what that says of them."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.answers import Answer
from gateway.core.cache import Cache, Found
from gateway.core.embedding import EmbedderUnavailable
from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.core.hit_budget import Group, Standing, Terms
from gateway.core.notes import Cached, Verdict
from gateway.core.ports import Runtime
from gateway.core.reply import Reply, Whole
from gateway.core.stage import Next
from gateway.stages.semantic_cache.audit.answers import likeness, text_of
from gateway.stages.semantic_cache.audit.judge import Judge, verdict
from gateway.stages.semantic_cache.directives import OURS
from gateway.stages.semantic_cache.keeping import Keeper, Whence
from gateway.stages.semantic_cache.scope import Asked

_AUDIT: Final = Verdict("semantic_cache", "audit")
_UNKNOWN: Final = "unproven"


class Case(Struct, frozen=True):
    """A semantic hit, or what would have been one, and the question that it was for."""

    exchange: Exchange
    asked: Asked
    found: Found


class Auditor:
    """Checks the semantic hits of one stage. `rate` is the share of them that is checked."""

    def __init__(
        self,
        cache: Cache,
        runtime: Runtime,
        keeper: Keeper,
        now: Callable[[], float],
        *,
        terms: Terms,
        rate: float,
        judge: Judge | None,
    ) -> None:
        """`now` is the epoch time."""
        self._cache = cache
        self._runtime = runtime
        self._keeper = keeper
        self._now = now
        self._terms = terms
        self._rate = rate
        self._judge = judge

    def standing(self, exchange: Exchange) -> Standing | None:
        """Return how the requests stand that are like this one; None where nobody counts."""
        audits = self._cache.audits
        return None if audits is None else audits.standing(self._group(exchange))

    def risk(self, exchange: Exchange) -> str:
        """Return the share of wrong hits that is not exceeded, as a header shows it."""
        standing = self.standing(exchange)
        return _UNKNOWN if standing is None else standing.risk

    def served(self, case: Case, *, may_ask: bool) -> None:
        """Count a semantic hit that is served, and check it if it is one of the sample.

        That never happens where `may_ask` is false: its caller wants nobody to be asked.
        """
        audits, exchange = self._cache.audits, case.exchange
        if audits is None:
            return
        audits.hit(self._group(exchange))
        if may_ask and exchange.again is not None and self._sampled():
            self._offer(exchange, partial(self._audit, case))

    def would(self, case: Case, body: bytes) -> None:
        """Compare what was not served, though it is near, with the upstream's own answer."""
        standing = self.standing(case.exchange)
        if standing is not None and (not standing.serves or self._sampled()):
            self._offer(case.exchange, partial(self._compare, case, body))

    def _group(self, exchange: Exchange) -> Group:
        return Group(exchange.caller.tenant, exchange.policy, exchange.request.model, self._terms)

    def _sampled(self) -> bool:
        return self._runtime.random.random() < self._rate

    def _offer(self, exchange: Exchange, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        audits, spawn = self._cache.audits, self._runtime.spawn
        tenant = exchange.caller.tenant
        if audits is None or not audits.backlog.offer(tenant, work, partial(spawn, "audit a hit")):
            self._count("dropped")

    async def _audit(self, case: Case) -> None:
        """Ask what the hit has answered, as a request of the same caller."""
        reached = False

        async def work(exchange: Exchange, proceed: Next) -> Reply:
            nonlocal reached
            reached = True
            self._count("asked")
            _note(exchange)
            return await self._asked(case, exchange, proceed)

        await _again(case.exchange, work)
        if not reached:  # by a limit, most often
            self._count("refused")

    async def _asked(self, case: Case, exchange: Exchange, proceed: Next) -> Reply:
        """Take the place of the cache in an audit: ask, keep the answer, and compare."""
        began = self._now()
        try:
            reply = await proceed(exchange)
        except GatewayError:
            self._count("failed")
            raise
        kept: Answer | str = ""
        if isinstance(reply, Whole) and exchange.version == case.exchange.version:
            whence = Whence(reply.body, reply.usage, reply.answered, exchange.notes, began)
            kept = self._keeper.keep(exchange, case.asked, whence, self._now(), near=True)
        if isinstance(kept, Answer):
            await self._compare(case, kept.body, exchange)
        else:  # nothing that anybody else would be given, or another policy's
            self._count("void")
        return reply

    async def _compare(self, case: Case, body: bytes, payer: Exchange | None = None) -> None:
        """Compare the stored answer with the upstream's. `payer` pays for a judge."""
        endpoint, embedder = case.exchange.request.endpoint, self._cache.embedder
        one, other = text_of(case.found.answer.body, endpoint), text_of(body, endpoint)
        alike = None
        if embedder is not None and one and other:
            with suppress(EmbedderUnavailable):
                alike = await likeness(one, other, embedder)
        if alike is None:
            self._count("void")
            return
        same = None if alike.equal else await self._judged(case, one, other, payer)
        self._conclude(case, same=alike.same if same is None else same)

    async def _judged(
        self, case: Case, one: str, other: str, payer: Exchange | None
    ) -> bool | None:
        """Return what the judge says; None for nothing. Without a payer it is a request's work."""
        judge = self._judge
        if judge is None:
            return None
        said: list[Reply] = []
        question = case.asked.question.text or ""

        async def ask(exchange: Exchange, _proceed: Next) -> Reply:
            _note(exchange)
            said.append(await judge.ask(exchange, question, one, other))
            return said[0]

        try:
            if payer is None:
                await _again(case.exchange, ask)
            else:
                said.append(await judge.ask(payer, question, one, other))
        except GatewayError:
            self._count("judge_failed")
            return None
        same = verdict(said[0]) if said else None
        if same is None:
            self._count("judge_unclear")
        return same

    def _conclude(self, case: Case, *, same: bool | None) -> None:
        self._count("unclear" if same is None else "same" if same else "wrong")
        if same is not None and self._cache.audits is not None:
            group = self._group(case.exchange)
            self._cache.audits.add(group, case.found.cosine, wrong=not same)

    def _count(self, what: str) -> None:
        self._cache.events["audit", what] += 1


def _whole(exchange: Exchange) -> Exchange:
    """Return the exchange as it would be were the answer wanted whole."""
    if not exchange.request.stream:
        return exchange
    return exchange.with_request(exchange.request.with_fields(stream=None, stream_options=None))


def _note(exchange: Exchange) -> None:
    exchange.notes.add(Cached("bypass", "audit"))
    exchange.notes.add(_AUDIT)


async def _again(
    exchange: Exchange, work: Callable[[Exchange, Next], Coroutine[Any, Any, Reply]]
) -> None:
    """Send a request on the caller's behalf, behind everybody who waits for an answer."""
    if exchange.again is not None:
        headers = {**exchange.headers, OURS: "refresh"}
        patient = replace(exchange.caller, priority="low", overflow="refuse")
        own = replace(_whole(exchange), headers=headers, caller=patient, audit=work)
        await exchange.again(own)
