"""OpenAI chat completions and chunks as servers send them, written by hand, as small as they go."""

import json
from typing import Any

USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 7,
    "total_tokens": 37,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
DONE = b"data: [DONE]\n\n"


def completion(finish: str | None = "stop", *, usage: Any = USAGE, **message: Any) -> bytes:
    """A whole answer; keyword arguments are the message's fields."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "chatcmpl-1", "choices": [choice], "usage": usage}).encode()


def call(call_id: str, name: str, arguments: Any = "{}") -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(finish: str | None = None, *, index: int = 0, choice: Any = None, **delta: Any) -> bytes:
    """A chunk; keyword arguments are the delta's fields, `choice` adds some to the choice."""
    said = {"index": index, "delta": delta, "finish_reason": finish, **(choice or {})}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [said]})


def fragment(
    index: int | None = 0, call_id: str = "", name: str = "", arguments: Any = ""
) -> bytes:
    """A chunk with a piece of one tool call, without the fields that are empty."""
    function = {"name": name, "arguments": arguments}
    piece: dict[str, Any] = {"function": {key: value for key, value in function.items() if value}}
    if index is not None:
        piece["index"] = index
    if call_id:
        piece |= {"id": call_id, "type": "function"}
    return chunk(tool_calls=[piece])


def usage_chunk(usage: Any = USAGE) -> bytes:
    return event({"id": "chatcmpl-1", "choices": [], "usage": usage})


ROLE = chunk(role="assistant", content="", refusal=None)
END = chunk("stop") + usage_chunk() + DONE
"""The end of a plain answer."""
CALLED = chunk("tool_calls") + usage_chunk() + DONE
"""The end of an answer with tool calls."""
