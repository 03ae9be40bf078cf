"""Reading what a provider says it used, in either dialect; figures that make no sense count 0."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, ValidationError, convert

from gateway.core.reply import Usage

MAX_TOKENS: Final = 1_000_000_000
_NOTHING: Final = Usage(doubtful=True)
_MAIN: Final = ("prompt_tokens", "completion_tokens")


_Count = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]


class _Prompt(Struct, gc=False):
    cached_tokens: _Count = 0
    cache_write_tokens: _Count = 0


class _Completion(Struct, gc=False):
    reasoning_tokens: _Count = 0


class _OpenAIUsage(Struct, gc=False):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    prompt_tokens_details: _Prompt | None = None
    completion_tokens_details: _Completion | None = None


def token_count(value: object, before: int = 0) -> int:
    """Return `value` when it can be a number of tokens, else what was known before."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else before  # a bool is none


def openai_usage(value: object, before: Usage | None = None) -> Usage | None:
    """Read an OpenAI usage object; fields that make no sense keep what was known before.

    One that leaves out what was read or what was written is doubtful: unsaid is not 0.
    """
    if not isinstance(value, dict) or not value:
        return before
    whole = before is None and "prompt_tokens" in value and "completion_tokens" in value
    if whole and (plain := _plain_usage(value)) is not None:
        return plain
    known = before or _NOTHING
    said = [value[name] for name in _MAIN if value.get(name) is not None]
    prompt = _dict(value.get("prompt_tokens_details"))
    completion = _dict(value.get("completion_tokens_details"))
    tokens = token_count(value.get("prompt_tokens"), known.input)
    return Usage(
        input=tokens,
        output=token_count(value.get("completion_tokens"), known.output),
        cached=min(tokens, token_count(prompt.get("cached_tokens"), known.cached)),
        cache_write=token_count(prompt.get("cache_write_tokens"), known.cache_write),
        reasoning=token_count(completion.get("reasoning_tokens"), known.reasoning),
        doubtful=known.doubtful and _doubtful(said),
    )


def _plain_usage(value: dict[str, Any]) -> Usage | None:
    """Read a usage object at once when all its figures make sense, as they nearly always do."""
    try:
        said = convert(value, _OpenAIUsage)
    except ValidationError:
        return None
    prompt, completion = said.prompt_tokens_details, said.completion_tokens_details
    return Usage(
        said.prompt_tokens,
        said.completion_tokens,
        min(said.prompt_tokens, prompt.cached_tokens) if prompt else 0,
        prompt.cache_write_tokens if prompt else 0,
        completion.reasoning_tokens if completion else 0,
    )


def anthropic_usage(value: Mapping[str, Any]) -> Usage:
    """Read an Anthropic usage object; `input` then includes what was read from or put in cache.

    Where `iterations` are listed (compaction, advisor), only they add up to what was used.
    """
    plain = token_count(value.get("input_tokens"))
    output = token_count(value.get("output_tokens"))
    steps = [
        step
        for step in _list(value.get("iterations"))
        if isinstance(step, dict) and step.get("type") in {"message", "compaction"}
    ]
    if steps:
        plain = sum(token_count(step.get("input_tokens")) for step in steps)
        output = sum(token_count(step.get("output_tokens")) for step in steps)
    cached = token_count(value.get("cache_read_input_tokens"))
    write = token_count(value.get("cache_creation_input_tokens"))
    hour = token_count(_dict(value.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    thinking = _dict(value.get("output_tokens_details")).get("thinking_tokens")
    return Usage(
        input=plain + cached + write,
        output=output,
        cached=cached,
        cache_write=write,
        cache_write_1h=min(write, hour),
        reasoning=token_count(thinking),
        doubtful=not steps
        and min(token_count(value.get(name), -1) for name in ("input_tokens", "output_tokens")) < 0,
    )


def begun(usage: object) -> object:
    """Return what a `message_start` says was used: what it says of the output is a placeholder."""
    if not isinstance(usage, dict):
        return usage
    return {name: value for name, value in usage.items() if name != "output_tokens"}


def _doubtful(figures: list[object]) -> bool:
    return len(figures) < len(_MAIN) or any(token_count(figure, -1) < 0 for figure in figures)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
