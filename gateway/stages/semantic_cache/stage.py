"""The stage: what is at hand is served at once; for the rest there is an errand."""

from typing import Final

from gateway.core.cache import Found
from gateway.core.chat import ChatRequest
from gateway.core.exchange import Exchange
from gateway.core.reply import Reply
from gateway.core.stage import Next
from gateway.stages.semantic_cache.directives import PLAIN, Directives, directives
from gateway.stages.semantic_cache.errand import Errand, Parts, note, serve
from gateway.stages.semantic_cache.scope import Scopes

SERVED: Final = frozenset({"chat", "completions", "messages"})
LARGEST: Final = 256 << 10
"""Bytes of a request that is looked at: digesting more would keep others waiting."""


class SemanticCache:
    """Serves stored answers, and stores those that are good enough."""

    def __init__(self, parts: Parts, scopes: Scopes) -> None:
        self._parts = parts
        self._scopes = scopes
        self._shelf = parts.cache.shelf
        self._now = parts.now

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Return a stored answer or a new one. Raises BadRequest, NotCached."""
        wish = directives(exchange.headers) if exchange.headers else PLAIN
        reason = unserved(exchange.request, wish)
        if reason:
            note(exchange, "bypass", reason)
            return await proceed(exchange)
        raw, now = self._scopes.raw(exchange), self._now()
        if wish is PLAIN:
            answer = self._shelf.raw(raw, now)
            if (
                answer is not None
                and now < answer.fresh_until
                and answer.context == exchange.context
            ):
                return serve(self._parts, exchange, Found(answer), now)
        if exchange.audit is not None:
            return await exchange.audit(exchange, proceed)
        embedder = self._parts.cache.embedder
        fingerprint = "" if embedder is None else embedder.fingerprint
        asked = self._scopes.asked(exchange, raw, fingerprint)
        return await Errand(self._parts, exchange, proceed, asked, wish=wish, now=now).run()


def unserved(request: ChatRequest, wish: Directives) -> str:
    """Return why a request passes by as if there were no cache, empty when it does not."""
    if request.endpoint not in SERVED:
        return "endpoint"
    if not wish.read and not wish.store:
        return wish.reason
    if len(request.body) > LARGEST:
        return "large"
    return "live_data" if "web_search_options" in request.fields else ""
