"""Anthropic's tools and tool choice as OpenAI's functions."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers.anthropic_wire.messages_shape import expected, object_of, objects, text_of
from gateway.providers.anthropic_wire.vocabulary import Losses, missing

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


def chat_tools(fields: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """Return `tools`, `tool_choice` and `parallel_tool_calls`; nothing when there are no tools.

    Tools that Anthropic itself runs or trained its models on are a missing capability.
    """
    if not fields.get("tools"):
        return {}
    tools = [_function(tool, path, losses) for path, tool in objects(fields["tools"], "tools")]
    return {"tools": tools, **_choice(fields.get("tool_choice"))}


def _function(tool: dict[str, Any], path: str, losses: Losses) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise missing(f"{path}.type")
    if tool.get("defer_loading"):
        raise missing(f"{path}.defer_loading")
    if tool.get("allowed_callers") not in (None, [], ["direct"]):
        raise missing(f"{path}.allowed_callers")
    if tool.get("input_examples"):
        losses.note("tools.input_examples")
    function: dict[str, Any] = {"name": text_of(tool, "name", path)}
    if tool.get("description") is not None:
        function["description"] = text_of(tool, "description", path)
    function["parameters"] = object_of(tool, "input_schema", path)
    if isinstance(tool.get("strict"), bool):
        function["strict"] = tool["strict"]
    chat: dict[str, Any] = {"type": "function", "function": function}
    losses.mark(tool, chat)
    return chat


def _choice(choice: object) -> dict[str, Any]:
    if choice is None:
        return {}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or kind not in (*_CHOICES, "tool"):
        raise expected("tool_choice.type", "one of auto, any, tool, none")
    chat: dict[str, Any] = {}
    if kind == "tool":
        name = text_of(choice, "name", "tool_choice")
        chat["tool_choice"] = {"type": "function", "function": {"name": name}}
    else:
        chat["tool_choice"] = _CHOICES[kind]
    if choice.get("disable_parallel_tool_use") is True and kind != "none":
        chat["parallel_tool_calls"] = False
    return chat
