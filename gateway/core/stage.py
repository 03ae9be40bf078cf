"""The one verb: a stage takes an exchange and a way to proceed, and returns a reply."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from gateway.core.exchange import Exchange
from gateway.core.reply import Reply

Next: TypeAlias = Callable[[Exchange], Awaitable[Reply]]


class Stage(Protocol):
    """Answers by itself or calls `proceed`, and may change what goes in and what comes out."""

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply: ...


def compose(stages: Sequence[Stage], last: Next) -> Next:
    """Fold stages into one callable, first stage outermost. Done at reload, never per request."""
    chain = last
    for stage in reversed(stages):
        chain = _link(stage, chain)
    return chain


def _link(stage: Stage, proceed: Next) -> Next:
    call = stage.__call__  # found once: each request would look it up in the stage's class

    def step(exchange: Exchange) -> Awaitable[Reply]:
        return call(exchange, proceed)

    return step
