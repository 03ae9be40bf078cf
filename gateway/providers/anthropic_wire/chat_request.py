"""An OpenAI chat request as an Anthropic messages request."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import ChatRequest
from gateway.core.errors import BadRequest
from gateway.core.ports import Call
from gateway.providers.anthropic_wire.cache_marks import MOST as MOST_MARKS
from gateway.providers.anthropic_wire.cache_marks import marks_of
from gateway.providers.anthropic_wire.chat_content import Block, bad, keep_cache
from gateway.providers.anthropic_wire.chat_effort import think
from gateway.providers.anthropic_wire.chat_messages import conversation
from gateway.providers.anthropic_wire.chat_tools import tooling
from gateway.providers.anthropic_wire.vocabulary import Losses, Translated

DEFAULT_MAX_TOKENS: Final = 8192
"""For a model whose catalogue entry has no `max_output`: what every Claude since 3.5 can give."""

_TIERS: Final[Mapping[str, str]] = {
    "auto": "auto",
    "priority": "auto",
    "default": "standard_only",
    "flex": "standard_only",
}
_OFF: Final = {"type": "disabled"}
_TRANSLATED: Final = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
        "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
        "response_format", "reasoning_effort", "temperature", "top_p", "top_k", "stop", "n", "user",
        "safety_identifier", "service_tier", "cache_control", "thinking",
    }
)  # fmt: skip
_QUIET: Final = frozenset(
    {
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
    }
)
"""Left out without a word: they change nothing about the answer, nor what becomes of it."""
_LISTED: Final = frozenset({"store", "metadata"})
"""Left out and listed: the answer is the same, but nobody keeps it or finds it by them."""
_SAMPLING: Final = frozenset({"seed", "logit_bias", "presence_penalty", "frequency_penalty"})
_REFUSED: Final = frozenset(
    {
        "logprobs", "top_logprobs", "prediction", "modalities", "audio", "web_search_options",
        "verbosity", "moderation",
    }
)  # fmt: skip

Fields = Mapping[str, Any]


def chat_to_messages(call: Call) -> Translated:
    """Return the request for Anthropic. Raises BadRequest or CapabilityMissing, naming the place.

    Nothing is lost in silence: what cannot be said is refused, or dropped and listed where
    `call` gives leave.
    """
    fields, model, losses = call.request.fields, call.target.model, Losses(call)
    _settle_the_rest(fields, losses)
    system, turns = conversation(fields["messages"], model, losses)
    tools = tooling(fields, model, losses)
    body: dict[str, Any] = {"model": model.upstream_name, "max_tokens": _limit(call, losses)}
    if tools.instruction:
        system.append({"type": "text", "text": tools.instruction})
    if system:
        body["system"] = system
    body["messages"] = turns
    if tools.tools:
        body["tools"] = tools.tools
    if tools.choice is not None:
        body["tool_choice"] = tools.choice
    if tools.format is not None:
        body["output_config"] = {"format": tools.format}
    if fields.get("thinking") is not None:
        body["thinking"] = _own_thinking(fields["thinking"])
    else:
        think(body, fields.get("reasoning_effort"), model, losses, forced=tools.forced)
    _sampling(call, body, losses)
    _caller_and_tier(fields, body, losses)
    _cache(fields, body, system, turns, tools.tools)
    if call.request.stream:
        body["stream"] = True
    request = ChatRequest(
        endpoint="messages",
        body=wire.encode(body),
        fields=body,
        model=model.upstream_name,
        stream=call.request.stream,
        betas=call.request.betas,
        version=call.request.version,
    )
    return Translated(request=request, dropped=losses.dropped, form=tools.form)


def _settle_the_rest(fields: Fields, losses: Losses) -> None:
    """Drop or refuse every field that has no counterpart; defaults that change nothing pass."""
    count = fields.get("n")
    if count is not None and count != 1:
        raise losses.refusal("n")  # one answer where several were asked for is another answer
    for name, value in fields.items():
        if name in _TRANSLATED or name in _QUIET or value is None:
            continue
        if name in _LISTED:
            if value:
                losses.note(name)
        elif name in _SAMPLING:
            if value not in (0, {}) or name == "seed":
                losses.sampling(name)
        elif name in _REFUSED:
            if value not in (False, 0, ["text"], "medium"):
                losses.parameter(name)
        else:
            losses.unknown(name)


def _own_thinking(value: object) -> dict[str, Any]:
    """Take Anthropic's own parameter as it is: its OpenAI-style API has it as an extension too."""
    if not isinstance(value, dict):
        raise bad("thinking", "an object")
    return value


def _limit(call: Call, losses: Losses) -> int:
    ceiling = call.target.model.max_output
    for name in ("max_completion_tokens", "max_tokens"):
        value = call.request.fields.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise bad(name, "a whole number above 0")
        if call.target.chosen and ceiling is not None and value > ceiling:
            losses.note(f"{name} (lowered to the model's {ceiling})")
            return ceiling
        return value
    return ceiling or DEFAULT_MAX_TOKENS


def _sampling(call: Call, body: dict[str, Any], losses: Losses) -> None:
    fields, accepts = call.request.fields, call.target.model.sampling
    temperature = _number(fields, "temperature", 2)
    top_p, top_k = _number(fields, "top_p", 1), fields.get("top_k")
    if accepts == "none" or body.get("thinking", _OFF) != _OFF:
        _drop_unless_default(temperature, "temperature", losses)
        _drop_unless_default(top_p, "top_p", losses)
        if top_k is not None:
            losses.sampling("top_k")
    else:
        if accepts == "one" and temperature is not None and top_p is not None:
            _drop_unless_default(top_p, "top_p", losses)
            top_p = None
        if temperature is not None and temperature > 1:
            losses.note("temperature (clamped to 1)")
            temperature = 1
        given = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
        body.update((name, value) for name, value in given.items() if value is not None)
    stop = _stop_sequences(fields.get("stop"), losses)
    if stop:
        body["stop_sequences"] = stop


def _drop_unless_default(value: float | None, name: str, losses: Losses) -> None:
    if value is not None and value != 1:
        losses.sampling(name)


def _number(fields: Fields, name: str, most: int) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise bad(name, f"a number from 0 to {most}")
    return value


def _stop_sequences(value: object, losses: Losses) -> list[str]:
    if value is None:
        return []
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise bad("stop", "a string or a list of strings")
    kept = [text for text in given if text.strip()]
    if len(kept) != len(given):
        losses.note("stop (white space only)")
    return kept


def _caller_and_tier(fields: Fields, body: dict[str, Any], losses: Losses) -> None:
    for name in ("safety_identifier", "user"):
        value = fields.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise bad(name, "a string")
            body["metadata"] = {"user_id": value}
            break
    tier = fields.get("service_tier")
    if tier is not None:
        if not isinstance(tier, str) or tier not in _TIERS:
            raise bad("service_tier", "auto, default, flex or priority")
        body["service_tier"] = _TIERS[tier]
        if tier not in ("auto", "default"):
            losses.note(f"service_tier (as {_TIERS[tier]})")


def _cache(fields: Fields, body: dict[str, Any], *groups: list[Block]) -> None:
    keep_cache(fields, body, "request")
    if sum(marks_of(block) for group in ([body], *groups) for block in group) > MOST_MARKS:
        raise BadRequest(
            "'cache_control' may stand in at most 4 places of a request.", param="cache_control"
        )
