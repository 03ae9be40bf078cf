"""What the requests that a `when` lets through need of a model, for checks of every target."""

from collections.abc import Callable, Iterator
from typing import Final

from gateway.core.catalogue import Model
from gateway.stages.when import When, several

Able = Callable[[Model], bool]

CHAT: Final = frozenset({"chat", "messages", "count_tokens"})
"""The endpoints where there are tools and pictures; a model serves all of them as `chat`."""


def needs(when: When) -> Iterator[tuple[str, str, Able]]:
    """Yield (field, what it takes, who has it) for every ability that the requests need.

    A stage that sends requests elsewhere asks this of each of its targets.
    """
    if when.tools:
        yield "tools", "take tools", lambda model: model.may("tools")
    if when.image:
        yield "image", "see pictures", lambda model: model.may("vision")
    above = when.tokens.above if when.tokens else None
    if above is not None:
        yield (
            "tokens",
            f"hold more than {above} tokens",
            lambda model: model.context is None or model.context > above,
        )
    wanted = several(when.endpoint)
    if wanted:
        served = {"chat" if endpoint in CHAT else endpoint for endpoint in wanted}
        yield (
            "endpoint",
            f"serve {' or '.join(sorted(served))}",
            lambda m: not served.isdisjoint(m.endpoints),
        )
