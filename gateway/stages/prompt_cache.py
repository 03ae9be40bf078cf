"""The stage that has providers keep the beginnings of prompts."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from msgspec import Meta
from msgspec.structs import replace

from gateway.core.catalogue import Model
from gateway.core.exchange import Exchange, PromptTtl
from gateway.core.notes import Verdict
from gateway.core.ports import Tools
from gateway.core.reply import Reply
from gateway.core.stage import Next, Stage
from gateway.stages.base import StagePolicy
from gateway.stages.names import Names, Problem
from gateway.stages.when import several

SERVED: Final = frozenset({"chat", "messages"})
NO_PROVIDER: Final = (
    "has no effect: no model is served by a provider of kind `anthropic`. Others keep prompts by"
    " themselves. Remove the stage."
)
NO_ENDPOINT: Final = "has no effect: prompts are kept for chat and messages alone."


class PromptCachePolicy(StagePolicy, frozen=True, tag="prompt_cache", kw_only=True):
    """Have Claude keep what a conversation repeats: its beginning is then read at a tenth.

    Requests that bring `cache_control` of their own stay as they are.
    """

    shapes_answers: ClassVar[bool] = False

    ttl: Annotated[
        PromptTtl,
        Meta(description="How long it is kept after its last use; an hour costs more to write."),
    ] = "5m"

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield where it can have no effect, and prices without which its cost is told wrong."""
        endpoints = several(self.when.endpoint) if self.when is not None else ()
        if endpoints and SERVED.isdisjoint(endpoints):
            yield Problem((), NO_ENDPOINT, "warning")
        if names.marked is None:
            return
        models = [each for each in names.catalogue.models.values() if each.provider in names.marked]
        if not models:
            yield Problem((), NO_PROVIDER, "warning")
        for model in models:
            if missing := _missing_price(model, self.ttl):
                what = f"`{model.name}` has no price `{missing}`: what it keeps is told too cheap."
                yield Problem(("ttl",), f"{what} Add it in models.yaml.", "warning")

    def build(self, tools: Tools) -> Stage:
        """Return the stage."""
        del tools
        return PromptCache(self.ttl)


class PromptCache:
    """Leaves word for the provider; what is marked depends on whom the request comes to."""

    def __init__(self, ttl: PromptTtl) -> None:
        self._ttl = ttl
        self._verdict = Verdict("prompt_cache", ttl)

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Pass the request on. Raises what comes behind."""
        if exchange.request.endpoint not in SERVED:
            return await proceed(exchange)
        exchange.notes.add(self._verdict)
        return await proceed(replace(exchange, prompt_cache=self._ttl))


def _missing_price(model: Model, ttl: PromptTtl) -> str:
    """Return which price for what is written is not there, empty where none is missing."""
    price = model.price
    if price is None:
        return ""
    if ttl == "1h" and price.cache_write_1h is None:
        return "cache_write_1h"
    return "cache_write" if price.cache_write is None else ""
