"""Reading what a provider says it used, in either dialect; figures that make no sense count 0."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.core.reply import Usage

MAX_TOKENS: Final = 1_000_000_000
_NOTHING: Final = Usage()


def token_count(value: object, before: int = 0) -> int:
    """Return `value` when it can be a number of tokens, else what was known before."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else before  # a bool is none


def openai_usage(value: object, before: Usage | None = None) -> Usage | None:
    """Read an OpenAI usage object; fields that make no sense keep what was known before."""
    if not isinstance(value, dict) or not value:
        return before
    known = before or _NOTHING
    prompt = _dict(value.get("prompt_tokens_details"))
    completion = _dict(value.get("completion_tokens_details"))
    tokens = token_count(value.get("prompt_tokens"), known.input)
    return Usage(
        input=tokens,
        output=token_count(value.get("completion_tokens"), known.output),
        cached=min(tokens, token_count(prompt.get("cached_tokens"), known.cached)),
        cache_write=token_count(prompt.get("cache_write_tokens"), known.cache_write),
        reasoning=token_count(completion.get("reasoning_tokens"), known.reasoning),
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
    thinking = _dict(value.get("output_tokens_details")).get("thinking_tokens")
    return Usage(
        input=plain + cached + write,
        output=output,
        cached=cached,
        cache_write=write,
        reasoning=token_count(thinking),
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
