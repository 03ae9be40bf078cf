"""Anthropic's messages as OpenAI chat messages: turns, tool calls, tool results, media."""

from typing import Any, Final

from gateway.core import wire
from gateway.core.ports import Call
from gateway.providers.anthropic_wire.messages_media import part_of
from gateway.providers.anthropic_wire.messages_shape import (
    blocks,
    expected,
    joined,
    object_of,
    text_of,
    text_parts,
)
from gateway.providers.anthropic_wire.vocabulary import Losses, missing, openai_tool_id

PREFILL: Final = "messages.prefill"


def chat_messages(call: Call, losses: Losses) -> list[dict[str, Any]]:
    """Return the conversation, system prompt not included.

    Tool results come right after the assistant turn that called, before anything else the user
    said; pictures and files in them follow in a user message, since tool messages hold only text.
    """
    model = call.target.model
    turns = _Turns(
        losses, keep_reasoning=model.thinking != "none" and model.max_tokens_field == "max_tokens"
    )
    messages = call.request.fields["messages"]
    for index, message in enumerate(messages):
        turns.add(message, f"messages[{index}]")
    if messages[-1].get("role") == "assistant":
        losses.parameter(f"messages[{len(messages) - 1}]", listed=PREFILL)
    chat = turns.end()
    if not chat:
        raise expected("messages", "a list with at least one message that is not empty")
    return chat


class _Turns:
    """Chat messages so far. What a user says beside tool results waits until all of these are out.

    `keep_reasoning`: thinking without a signature, which is what an upstream's `reasoning_content`
    becomes on its way out, goes back to it: DeepSeek refuses a tool turn without.
    """

    def __init__(self, losses: Losses, *, keep_reasoning: bool) -> None:
        self._losses = losses
        self._keep_reasoning = keep_reasoning
        self._out: list[dict[str, Any]] = []
        self._waiting: list[dict[str, Any]] = []

    def add(self, message: dict[str, Any], path: str) -> None:
        role, content = message["role"], message.get("content")
        place = f"{path}.content"
        if role == "assistant":
            self._flush()
            self._assistant(content, place)
        elif role == "user":
            self._user(content, place)
        elif role == "system":
            parts = list(text_parts(blocks(content, place), self._losses))
            if parts:
                self._waiting.append({"role": "system", "content": joined(parts, "\n\n")})
        else:
            raise expected(f"{path}.role", "user, assistant or system")

    def end(self) -> list[dict[str, Any]]:
        """Return all messages."""
        self._flush()
        return self._out

    def _flush(self) -> None:
        self._out += self._waiting
        self._waiting = []

    def _assistant(self, content: object, path: str) -> None:
        said, reasoning, calls = list[dict[str, Any]](), list[str](), []
        for place, block in blocks(content, path):
            kind = block.get("type")
            if kind == "text":
                said += text_parts([(place, block)], self._losses)
            elif kind == "tool_use":
                calls.append(_call(block, place, self._losses))
            elif kind == "thinking" and self._keep_reasoning and not block.get("signature"):
                reasoning.append(text_of(block, "thinking", place))
            elif kind in {"thinking", "redacted_thinking"}:
                self._losses.note("messages.thinking")
            else:
                raise missing(f"{place}.type")
        message: dict[str, Any] = {"role": "assistant", "content": joined(said, "") or None}
        if reasoning:
            message["reasoning_content"] = "".join(reasoning)
        if calls:
            message["tool_calls"] = calls
        if calls or message["content"]:
            self._out.append(message)

    def _user(self, content: object, path: str) -> None:
        parts: list[dict[str, Any]] = []
        for place, block in blocks(content, path):
            if block.get("type") == "tool_result":
                self._result(block, place)
            else:
                parts += part_of(block, place, self._losses)
        if parts:
            self._waiting.append(_user(parts))

    def _result(self, block: dict[str, Any], path: str) -> None:
        call_id = openai_tool_id(text_of(block, "tool_use_id", path))
        said: list[str] = []
        marks: dict[str, Any] = {}
        media: list[dict[str, Any]] = []
        for place, item in blocks(block.get("content", ""), f"{path}.content"):
            for part in part_of(item, place, self._losses):
                if part["type"] == "text":
                    said.append(part.pop("text"))
                    marks |= part
                else:
                    media.append(part)
        text = "\n\n".join(said) or ("The result follows as an attachment." if media else "")
        if block.get("is_error") is True:
            text = f"Error: {text}"
        self._losses.mark(block, marks)
        marked = [{**marks, "type": "text", "text": text}]
        content = marked if text and "cache_control" in marks else text
        self._out.append({"role": "tool", "tool_call_id": call_id, "content": content})
        if media:
            label = {"type": "text", "text": f"Attachment to the result of tool call {call_id}:"}
            self._waiting.append({"role": "user", "content": [label, *media]})


def _call(block: dict[str, Any], path: str, losses: Losses) -> dict[str, Any]:
    arguments = wire.encode(object_of(block, "input", path)).decode()
    call: dict[str, Any] = {
        "id": openai_tool_id(text_of(block, "id", path)),
        "type": "function",
        "function": {"name": text_of(block, "name", path), "arguments": arguments},
    }
    losses.mark(block, call)
    return call


def _user(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a user message; a lone text is a plain string, which every server takes."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return {"role": "user", "content": parts[0]["text"]}
    return {"role": "user", "content": parts}
