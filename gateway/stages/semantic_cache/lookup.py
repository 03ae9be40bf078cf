"""Looking for an answer that is not at hand: in the store by its key, then by what is near."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Protocol

from msgspec import Meta, Struct

from gateway.core.answers import Answer, Selection
from gateway.core.cache import Cache, Found
from gateway.core.embedding import Embedded, EmbedderUnavailable
from gateway.core.errors import StateUnavailable
from gateway.core.exchange import Exchange
from gateway.core.hit_budget import Standing, Terms
from gateway.core.parts import message_parts
from gateway.core.ports import Clock
from gateway.stages.semantic_cache.scope import Asked

MOST: Final = 8
"""Neighbours that are looked at."""
KNOWN: Final = 4096
"""Stored questions whose facts are kept at hand."""


class Gates(Protocol):
    """What two questions must agree in, however alike they look."""

    def facts(self, text: str, /) -> Any:  # noqa: ANN401 - whatever `veto` compares
        """Return what a question says that counts."""
        ...

    def veto(self, asked: Any, stored: Any, /) -> str:  # noqa: ANN401 - as `facts` returns
        """Return the name of the gate that keeps them apart, empty for none."""
        ...

    def unfit(self, text: str, /, *, truncated: bool, languages: frozenset[str]) -> str:
        """Return why a question may not be compared at all, empty when it may."""
        ...


class SemanticPolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When an answer to a similar question will do."""

    threshold: Annotated[
        float, Meta(ge=0.8, le=1, description="The least cosine of two questions.")
    ] = 0.94
    max_temperature: Annotated[
        float, Meta(ge=0, le=2, description="Requests with a higher temperature get exact hits.")
    ] = 0.3
    max_false_hit_rate: Annotated[
        float, Meta(ge=0.001, le=0.5, description="Wrong ones of all semantic hits, at most.")
    ] = 0.01
    audit_rate: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of semantic hits that is also asked upstream, behind the reply and"
            " at the tenant's cost, to find out how many are wrong.",
        ),
    ] = 0.03
    start: Annotated[
        Literal["serve", "shadow"],
        Meta(
            description="serve: from the first request on, at `threshold`. shadow: what would be"
            " served is compared with the upstream's answer until the rate is proven."
        ),
    ] = "serve"
    judge: Annotated[
        str | None,
        Meta(
            description="Model or alias that is asked whether two answers say the same. Left out:"
            " their embeddings decide."
        ),
    ] = None

    @property
    def terms(self) -> Terms:
        """What the false-hit budget goes by."""
        return Terms(self.threshold, self.max_false_hit_rate, self.start == "shadow")


class Looked(Struct, frozen=True):
    """What came of a look-up. `near` is what the question looks like, see `Keeper.keep`."""

    found: Found | None = None
    reason: str = ""
    """Why there is no semantic hit, where there might have been one."""
    near: Embedded | bool = False
    would: Found | None = None
    """What passes all gates and is not served, as that is not proven to be safe."""


class Lookup:
    """Looks for answers, for at most `seconds`; what fails or is too slow is a counted miss."""

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        seconds: float,
        semantic: SemanticPolicy | None,
        gates: Gates | None,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._seconds = seconds
        self._semantic = semantic
        self._gates = gates
        self._facts: dict[str, Any] = {}

    async def find(
        self,
        exchange: Exchange,
        asked: Asked,
        now: float,
        oldest: float,
        *,
        standing: Callable[[Exchange], Standing | None],
    ) -> Looked:
        """Return what there is; `oldest` is when an answer must have been stored at the earliest.

        An answer that is found by its key may be stale. `standing` says what similar questions
        have earned so far.
        """
        clock, loop = self._clock, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as patience:
                timer = clock.after(self._seconds, lambda: patience.reschedule(loop.time()))
                try:
                    looked = await self._find(exchange, asked, now, oldest)
                finally:
                    timer.cancel()
        except Exception as error:  # noqa: BLE001 - no failure here may cost anybody an answer
            part = _part(error)
            self._cache.events["failed", part] += 1
            return Looked(None, part, self.may_be_near(exchange, asked) == "")
        return _earned(looked, standing(exchange)) if _is_near(looked) else looked

    def may_be_near(self, exchange: Exchange, asked: Asked) -> str | None:
        """Return why no similar question will do: empty when one may, None where none is asked."""
        policy, fields = self._semantic, exchange.request.fields
        if policy is None or self._gates is None or self._cache.index is None:
            return None
        text, temperature = asked.question.text, fields.get("temperature")
        reason = ""
        if not asked.question.single:
            reason = "multi_turn"
        elif text is None or any(part.kind != "text" for part in message_parts(fields)):
            reason = "not_text"
        elif fields.get("tools") or fields.get("functions"):
            reason = "tools"
        elif temperature is not None and not _at_most(temperature, policy.max_temperature):
            reason = "temperature"
        elif fields.get("n") not in {None, 1}:
            reason = "n"
        return reason or self._gates.unfit(text or "", truncated=False, languages=self._languages)

    @property
    def _languages(self) -> frozenset[str]:
        embedder = self._cache.embedder
        return frozenset() if embedder is None else embedder.languages

    async def _find(self, exchange: Exchange, asked: Asked, now: float, oldest: float) -> Looked:
        cache = self._cache
        answer = await cache.store.get(asked.key)
        if answer is not None and answer.stored >= oldest and answer.context == exchange.context:
            cache.take(answer, asked.raw)
            return Looked(Found(answer))
        reason = self.may_be_near(exchange, asked)
        if reason is None or reason or cache.embedder is None:
            return Looked(None, reason or "")
        text = asked.question.text or ""
        (near,) = await cache.embedder.embed((text,))
        if near.truncated:
            return Looked(None, "truncated")
        return await self._nearest(exchange, asked, near, now, oldest)

    async def _nearest(
        self, exchange: Exchange, asked: Asked, near: Embedded, now: float, oldest: float
    ) -> Looked:
        index, gates, policy = self._cache.index, self._gates, self._semantic
        if index is None or gates is None or policy is None:
            return Looked()
        facts, reason = None, ""
        for each in await index.search(asked.scope, near.vector, MOST):
            if each.cosine < policy.threshold:
                break
            answer = await self._named(each.id, now)
            if answer is None or answer.scope != asked.scope or answer.context != exchange.context:
                continue
            if answer.fresh_until <= now or answer.stored < oldest:
                continue
            facts = facts or gates.facts(asked.question.text or "")
            veto = gates.veto(facts, self._facts_of(answer))
            if not veto:
                return Looked(Found(answer, semantic=True, cosine=each.cosine), "", near)
            self._cache.events["veto", veto] += 1
            reason = reason or veto
        return Looked(None, reason, near)

    async def _named(self, name: str, now: float) -> Answer | None:
        answer = self._cache.shelf.by_id(name, now)
        if answer is None:
            for answer in await self._cache.store.find(Selection(id=name), most=1):
                self._cache.take(answer)
                return answer
        return answer

    def _facts_of(self, answer: Answer) -> Any:  # noqa: ANN401 - as `Gates.facts` returns
        facts = self._facts.get(answer.id)
        if facts is None and self._gates is not None:
            if len(self._facts) >= KNOWN:
                self._facts.clear()
            facts = self._facts[answer.id] = self._gates.facts(answer.question)
        return facts


def _is_near(looked: Looked) -> bool:
    return looked.found is not None and looked.found.semantic


def _earned(looked: Looked, standing: Standing | None) -> Looked:
    """Return a semantic hit as it is, or as one that would be, by how such hits stand."""
    found = looked.found
    if found is None or standing is None:
        return looked
    if standing.serves and found.cosine >= standing.threshold:
        return looked
    reason = "threshold" if standing.serves else standing.state.replace("-", "_")
    return Looked(None, reason, looked.near, found)


def _part(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, StateUnavailable):
        return "store"
    return "embedder" if isinstance(error, EmbedderUnavailable) else "index"


def _at_most(value: object, bound: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value <= bound
