"""From an answer to an entry: what is kept with it, and for how long."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.answers import Answer
from gateway.core.cache import Cache
from gateway.core.embedding import Embedded, EmbedderUnavailable
from gateway.core.exchange import Exchange
from gateway.core.notes import Notes, Used
from gateway.core.ports import Runtime
from gateway.core.reply import Answered, Usage
from gateway.stages.semantic_cache.admission import stored_form, unfit, unfit_source
from gateway.stages.semantic_cache.scope import Asked

MOST: Final = 64
"""Questions that wait for the embedder behind their answers; those of more are not embedded."""


class Times(Struct, frozen=True):
    """Seconds that answers are kept. `jitter` is the part of `ttl` that chance takes off it."""

    ttl: float
    jitter: float
    stale_while_revalidate: float
    stale_if_error: float


class Whence(Struct, frozen=True):
    """An answer as it came, and when it was asked for."""

    body: bytes
    usage: Usage | None
    answered: Answered
    notes: Notes
    began: float


class Keeper:
    """Keeps answers for one stage."""

    def __init__(self, cache: Cache, runtime: Runtime, times: Times, tags: tuple[str, ...]) -> None:
        self._cache = cache
        self._runtime = runtime
        self._times = times
        self._tags = tags
        self._embedding = 0

    def keep(
        self,
        exchange: Exchange,
        asked: Asked,
        whence: Whence,
        now: float,
        near: Embedded | bool,
    ) -> Answer | str:
        """Keep an answer and return its entry, or why it is not fit to be given again.

        `near` is what its question looks like; True when that is still to be found out, False
        when nobody may find it by it.
        """
        endpoint = exchange.request.endpoint
        reason = unfit_source(whence.answered, whence.notes) or unfit(whence.body, endpoint)
        if reason:
            return self.refused(reason)
        answer = self._entry(exchange, asked, whence, now, near)
        if self._cache.purged_since(whence.began, answer):
            return self.refused("purged")
        if near is True and self._embedding < MOST:
            self._embedding += 1
            self._cache.take(answer, asked.raw)
            self._runtime.spawn("embed a question", self._embedded(answer, asked.raw))
        else:
            self._cache.keep(answer, asked.raw)
        return answer

    def refused(self, reason: str) -> str:
        """Count an answer that is not kept, and return why."""
        self._cache.events["refused", reason] += 1
        return reason

    async def _embedded(self, answer: Answer, raw: bytes) -> None:
        """Keep an answer again, with what its question looks like."""
        embedder = self._cache.embedder
        try:
            if embedder is not None:
                (near,) = await embedder.embed((answer.question,))
                vector = b"" if near.truncated else near.vector
                answer = replace(answer, vector=vector, embedder=embedder.fingerprint)
        except EmbedderUnavailable:
            self._cache.events["failed", "embedder"] += 1
        finally:
            self._embedding -= 1
        self._cache.keep(answer, raw)

    def _entry(
        self,
        exchange: Exchange,
        asked: Asked,
        whence: Whence,
        now: float,
        near: Embedded | bool,
    ) -> Answer:
        caller, request, times = exchange.caller, exchange.request, self._times
        used = whence.notes.last(Used)
        fresh = now + times.ttl * (1 - times.jitter * self._runtime.random.random())
        embedder, vector = self._cache.embedder, b""
        if isinstance(near, Embedded) and not near.truncated:
            vector = near.vector
        return Answer(
            id="ans-" + self._runtime.new_id().removeprefix("req-"),
            scope=asked.scope,
            key=asked.key,
            group=f"{caller.tenant}/{exchange.policy}/{request.model}",
            tenant=caller.tenant,
            policy=exchange.policy,
            endpoint=request.endpoint,
            asked=request.model,
            model=whence.answered.model,
            provider=whence.answered.provider,
            tags=self._tags,
            corpora=exchange.corpora,
            context=exchange.context,
            question=(asked.question.text or "") if near else "",
            vector=vector,
            embedder=embedder.fingerprint if vector and embedder is not None else "",
            body=stored_form(whence.body),
            usage=whence.usage,
            micro_dollars=used.micro_dollars if used is not None else None,
            stored=now,
            fresh_until=fresh,
            gone_at=fresh + max(times.stale_while_revalidate, times.stale_if_error),
        )
