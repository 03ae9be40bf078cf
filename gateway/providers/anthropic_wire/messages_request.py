"""A `/v1/messages` request for an upstream that speaks OpenAI chat completions."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import ChatRequest
from gateway.core.errors import BadRequest
from gateway.core.ports import Call
from gateway.providers.anthropic_wire.messages_content import chat_messages
from gateway.providers.anthropic_wire.messages_shape import blocks, expected, joined, text_parts
from gateway.providers.anthropic_wire.messages_tools import chat_tools
from gateway.providers.anthropic_wire.vocabulary import (
    Losses,
    Translated,
    effort_of_budget,
)

MAX_STOPS: Final = 4
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
DEFAULT_EFFORT: Final = "high"
"""What Anthropic's adaptive thinking uses when no effort is given."""
_TRANSLATED: Final = frozenset(
    {
        "cache_control",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "stream_options",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_QUIET: Final = frozenset({"diagnostics"})
"""Without effect on the answer."""
_INEXPRESSIBLE: Final = frozenset(
    {
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "user_profile_id",
        "workspace_id",
    }
)


def messages_to_chat(call: Call) -> Translated:
    """Return the request as OpenAI chat completions, streamed with usage if it streams.

    Raises BadRequest for what Anthropic would refuse as well, and for what a chat upstream has no
    words for unless dropping is allowed. Earlier thinking, which only matters to the model that
    signed it, is left out and listed. A last assistant message is refused: chat upstreams do not
    continue it, they answer it.
    """
    fields, model = call.request.fields, call.target.model
    losses = Losses(call)
    _account_for(fields, losses)
    chat: dict[str, Any] = {
        "model": model.upstream_name,
        model.max_tokens_field: _max_tokens(fields, model.max_output),
        "messages": [*_system(fields, losses), *chat_messages(call, losses)],
        **_sampling(call, losses),
        **chat_tools(fields, losses),
        **_effort(call, losses),
        **_response_format(fields),
        **_caller(fields),
    }
    losses.mark(fields, chat)
    if call.request.stream:
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    request = ChatRequest(
        endpoint="chat",
        body=wire.encode(chat),
        fields=chat,
        model=model.upstream_name,
        stream=call.request.stream,
    )
    return Translated(request=request, dropped=losses.dropped)


def _account_for(fields: Mapping[str, Any], losses: Losses) -> None:
    """Refuse or drop every top-level field that has no translation."""
    for name, value in fields.items():
        if name in _TRANSLATED or name in _QUIET or value is None:
            continue
        if name in _INEXPRESSIBLE:
            losses.parameter(name)
        elif name == "speed":
            if value != "standard":
                losses.parameter(name)
        else:
            losses.unknown(name)


def _max_tokens(fields: Mapping[str, Any], most: int | None) -> int:
    """Return the limit, at most what the model can write, which takes nothing from anybody."""
    limit = fields.get("max_tokens")
    if limit is None:
        raise BadRequest("'max_tokens' is required.", param="max_tokens")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise expected("max_tokens", "an integer of at least 1")
    return min(limit, most or limit)


def _system(fields: Mapping[str, Any], losses: Losses) -> list[dict[str, Any]]:
    system = fields.get("system")
    parts = [] if system is None else list(text_parts(blocks(system, "system"), losses))
    return [{"role": "system", "content": joined(parts, "\n\n")}] if parts else []


def _sampling(call: Call, losses: Losses) -> dict[str, Any]:
    fields, allowed = call.request.fields, call.target.model.sampling
    chat: dict[str, Any] = {}
    for name in ("temperature", "top_p"):
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise expected(name, "a number from 0 to 1")
        if allowed == "none" or (allowed == "one" and chat):
            losses.sampling(name)
        else:
            chat[name] = value
    if fields.get("top_k") is not None:
        losses.sampling("top_k")
    stops = fields.get("stop_sequences")
    if stops is None:
        return chat
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise expected("stop_sequences", "a list of strings")
    if len(stops) > MAX_STOPS:
        raise BadRequest(
            f"This model takes at most {MAX_STOPS} stop sequences.",
            code="unsupported_parameter",
            param="stop_sequences",
        )
    return {**chat, "stop": stops} if stops else chat


def _effort(call: Call, losses: Losses) -> dict[str, Any]:
    """Say how hard to think. What only tunes that is dropped like sampling is."""
    fields = call.request.fields
    thinking, effort = fields.get("thinking"), _part(fields, "output_config").get("effort")
    if effort is not None and effort not in EFFORTS:
        raise expected("output_config.effort", "one of low, medium, high, xhigh, max")
    asked = "output_config.effort" if effort else ""
    if thinking is not None:
        kind = thinking.get("type") if isinstance(thinking, dict) else None
        if kind == "enabled":
            asked, effort = "thinking", effort or effort_of_budget(_budget(thinking))
        elif kind in ("adaptive", "between_tools"):
            asked, effort = "thinking", effort or DEFAULT_EFFORT
        elif kind != "disabled":
            raise expected("thinking.type", "one of enabled, disabled, adaptive")
    if effort is None:
        return {}
    if call.target.model.thinking == "none":
        losses.sampling(asked)
        return {}
    return {"reasoning_effort": effort}


def _budget(thinking: Mapping[str, Any]) -> int:
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        raise expected("thinking.budget_tokens", "an integer of at least 1024")
    return budget


def _response_format(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the structured output's schema, at its present place or at the beta's."""
    path = "output_config.format"
    wanted = _part(fields, "output_config").get("format")
    if wanted is None:
        path, wanted = "output_format", fields.get("output_format")
    if wanted is None:
        return {}
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise expected(f"{path}.type", "json_schema")
    schema = wanted.get("schema")
    if not isinstance(schema, dict):
        raise expected(f"{path}.schema", "an object")
    named = {"name": "response", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _caller(fields: Mapping[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    user = _part(fields, "metadata").get("user_id")
    if user is not None:
        if not isinstance(user, str):
            raise expected("metadata.user_id", "a string")
        chat["user"] = user
    tier = fields.get("service_tier")
    if tier is not None and tier not in ("auto", "standard_only"):
        raise expected("service_tier", "auto or standard_only")
    return {**chat, "service_tier": "default"} if tier == "standard_only" else chat


def _part(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise expected(name, "an object")
    return value
