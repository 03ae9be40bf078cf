"""Hand-written provider answers in both dialects: the same content, each in its own words."""

import json
from collections.abc import Sequence
from typing import Any

from tests.fakes.upstream import Answer, Part, json_reply, sse_reply

Call = tuple[str, str, dict[str, Any]]
"""A tool call: id, name, arguments."""


def sse(*payloads: dict[str, Any], named: bool = False) -> list[bytes]:
    """One bytes part an event."""
    return [
        (f"event: {p['type']}\n" if named else "").encode()
        + b"data: "
        + json.dumps(p).encode()
        + b"\n\n"
        for p in payloads
    ]


def chat_whole(text: str | None = "Hello.", calls: Sequence[Call] = ()) -> Answer:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["tool_calls"] = [
            {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
            for i, n, a in calls
        ]
    return json_reply(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-test",
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": "tool_calls" if calls else "stop",
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
        }
    )


def chat_chunks(
    text: Sequence[str] = ("Hel", "lo."), calls: Sequence[Call] = (), *, usage: bool = True
) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in text]
    for index, (call_id, name, arguments) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        deltas.append(
            {
                "tool_calls": [
                    {"index": index, "id": call_id, "type": "function", "function": function}
                ]
            }
        )
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in _halves(json.dumps(arguments))
        ]
    chunks = [_chunk([{"index": 0, "delta": d, "finish_reason": None}]) for d in deltas]
    finish = "tool_calls" if calls else "stop"
    chunks.append(_chunk([{"index": 0, "delta": {}, "finish_reason": finish}]))
    if usage:
        counted = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        chunks.append(_chunk([]) | {"usage": counted})
    return [*sse(*chunks), b"data: [DONE]\n\n"]


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-test",
        "choices": choices,
    }


def message_whole(text: str | None = "Hello.", calls: Sequence[Call] = ()) -> Answer:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content += [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a in calls]
    stop = "tool_use" if calls else "end_turn"
    return json_reply(_message(content, stop, {"input_tokens": 9, "output_tokens": 4}))


def message_events(text: Sequence[str] = ("Hel", "lo."), calls: Sequence[Call] = ()) -> list[bytes]:
    start = _message([], None, {"input_tokens": 9, "output_tokens": 1})
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    index = 0
    if text:
        events += _block(
            index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": t} for t in text]
        )
        index += 1
    for call_id, name, arguments in calls:
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        parts = [
            {"type": "input_json_delta", "partial_json": part}
            for part in _halves(json.dumps(arguments))
        ]
        events += _block(index, block, parts)
        index += 1
    delta = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 4}})
    events.append({"type": "message_stop"})
    return sse(*events, named=True)


def _message(
    content: list[dict[str, Any]], stop: str | None, usage: dict[str, int]
) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def whole(dialect: str, text: str | None = "Hello.", calls: Sequence[Call] = ()) -> Answer:
    return (chat_whole if dialect == "openai" else message_whole)(text, calls)


def events(
    dialect: str, text: Sequence[str] = ("Hel", "lo."), calls: Sequence[Call] = ()
) -> list[bytes]:
    return (chat_chunks if dialect == "openai" else message_events)(text, calls)


def stream(
    dialect: str,
    text: Sequence[str] = ("Hel", "lo."),
    calls: Sequence[Call] = (),
    *,
    then: Sequence[Part] | None = None,
    keep: int | None = None,
) -> Answer:
    """A stream; `keep` cuts it after so many events, `then` says how it goes on from there."""
    parts: Sequence[Part] = events(dialect, text, calls)[:keep]
    return sse_reply([*parts, *(then or [])])


def error(dialect: str, status: int, kind: str, message: str, **headers: str) -> Answer:
    body: dict[str, Any] = {"error": {"message": message, "type": kind}}
    if dialect == "openai":
        body["error"] |= {"param": None, "code": kind}
    else:
        body["type"] = "error"
    return json_reply(body, status, headers)


def mid_stream_error(dialect: str) -> bytes:
    """What a provider sends when it breaks in the middle of a stream."""
    failure = {"type": "overloaded_error", "message": "Overloaded"}
    if dialect == "openai":
        return b"data: " + json.dumps({"error": failure | {"code": None}}).encode() + b"\n\n"
    return (
        b"event: error\ndata: " + json.dumps({"type": "error", "error": failure}).encode() + b"\n\n"
    )
