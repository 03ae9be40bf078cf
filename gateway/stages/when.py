"""`when:` on a stage block: for which requests the stage runs, decided when it is loaded."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gateway.core.catalogue import Catalogue
from gateway.core.chat import Endpoint
from gateway.core.estimate import input_tokens
from gateway.core.exchange import Exchange
from gateway.core.notes import Verdict
from gateway.core.parts import PICTURES, message_parts
from gateway.core.patterns import matcher
from gateway.core.reply import Reply
from gateway.core.stage import Next, Stage

Holds = Callable[[Exchange], bool]
Texts = str | Annotated[tuple[str, ...], Meta(min_length=1)]
Tokens = Annotated[int, Meta(ge=0, le=100_000_000)]
SKIPPED: Final = "skipped"


class Range(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds that are not part of the range themselves."""

    above: Annotated[Tokens | None, Meta(description="More than this.")] = None
    below: Annotated[Tokens | None, Meta(description="Less than this.")] = None


class When(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All conditions must hold; of a list, one. `*` in a text stands for any text, also none."""

    tenant: Annotated[Texts | None, Meta(description="Whose request it is.")] = None
    labels: Annotated[
        Mapping[str, Texts], Meta(description="Labels of the tenant, from tenants.yaml.")
    ] = {}
    model: Annotated[
        Texts | None,
        Meta(description="The model that is asked for, or an alias; a model brings its aliases."),
    ] = None
    header: Annotated[
        Mapping[str, Texts],
        Meta(
            description="Request headers, names in lower case; several of one name count as one,"
            " joined by `, `."
        ),
    ] = {}
    metadata: Annotated[
        Mapping[str, Texts],
        Meta(description="The request's `metadata`; Anthropic's has `user_id` only."),
    ] = {}
    endpoint: Annotated[
        Endpoint | Annotated[tuple[Endpoint, ...], Meta(min_length=1)] | None,
        Meta(description="What is called: /v1/chat/completions is `chat`."),
    ] = None
    stream: Annotated[bool | None, Meta(description="Whether a stream is asked for.")] = None
    tools: Annotated[bool | None, Meta(description="Whether the request brings tools.")] = None
    image: Annotated[bool | None, Meta(description="Whether a message holds a picture.")] = None
    tokens: Annotated[
        Range | None,
        Meta(description="Input tokens, guessed: a token for every 4 bytes of text."),
    ] = None


class Conditional:
    """A stage that steps aside, with a note, for the requests that are not its own."""

    def __init__(self, name: str, stage: Stage, holds: Holds) -> None:
        self._skipped = Verdict(name, SKIPPED)
        self._stage = stage
        self._holds = holds

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Run the stage or go on without it."""
        if self._holds(exchange):
            return await self._stage(exchange, proceed)
        exchange.notes.add(self._skipped)
        return await proceed(exchange)


def predicate(when: When, catalogue: Catalogue) -> Holds:
    """Return whether all conditions hold for an exchange; the cheap ones are asked first."""
    conditions = list(_conditions(when, catalogue))
    if len(conditions) == 1:
        return conditions[0]

    def holds(exchange: Exchange) -> bool:
        return all(condition(exchange) for condition in conditions)

    return holds


def several(texts: Texts | None) -> tuple[str, ...]:
    """Return what stands there as a list, also where it is one text or nothing."""
    return (texts,) if isinstance(texts, str) else texts or ()


def _conditions(when: When, catalogue: Catalogue) -> Iterator[Holds]:
    if when.stream is not None:
        yield lambda exchange: exchange.request.stream is when.stream
    if when.endpoint is not None:
        yield _one_of(frozenset(several(when.endpoint)), lambda e: e.request.endpoint)
    if when.model is not None:
        yield _one_of(catalogue.matching(several(when.model)), lambda e: e.request.model)
    if when.tenant is not None:
        tenant = matcher(several(when.tenant))
        yield lambda exchange: tenant(exchange.caller.tenant)
    yield from _in_mapping(when.labels, lambda e: e.caller.labels)
    yield from _in_mapping(when.header, lambda e: e.headers)
    yield from _in_mapping(when.metadata, lambda e: e.request.fields.get("metadata"))
    if when.tools is not None:
        yield lambda exchange: brings_tools(exchange.request.fields) is when.tools
    if when.image is not None:
        yield lambda exchange: brings_image(exchange.request.fields) is when.image
    if when.tokens is not None:
        yield _in_range(when.tokens)


def _one_of(known: Collection[str], read: Callable[[Exchange], str]) -> Holds:
    return lambda exchange: read(exchange) in known


def _in_mapping(wanted: Mapping[str, Texts], read: Callable[[Exchange], Any]) -> Iterator[Holds]:
    for name, texts in wanted.items():
        yield _entry(name, several(texts), read)


def _entry(name: str, texts: tuple[str, ...], read: Callable[[Exchange], Any]) -> Holds:
    matches = matcher(texts)

    def holds(exchange: Exchange) -> bool:
        held = read(exchange)
        value = held.get(name) if isinstance(held, dict) else None
        return isinstance(value, str) and matches(value)

    return holds


def _in_range(bounds: Range) -> Holds:
    above = -1 if bounds.above is None else bounds.above
    below = float("inf") if bounds.below is None else bounds.below
    return lambda exchange: above < input_tokens(exchange.request) < below


def brings_tools(fields: Mapping[str, Any]) -> bool:
    """Tell whether a request of either dialect may lead to a tool call."""
    return bool(fields.get("tools") or fields.get("functions"))


def brings_image(fields: Mapping[str, Any]) -> bool:
    """Tell whether a message of either dialect holds a picture, also within another part."""
    return any(part.kind in PICTURES for part in message_parts(fields))
