"""Answers in the shapes of OpenAI and Anthropic, whole and as events. Pure."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from struct import pack
from typing import Any, Final

from msgspec import Struct

from gateway.core import wire
from gateway.core.chat import ChatRequest
from gateway.core.reply import Block
from gateway.core.sse import DONE, encode_event
from gateway.providers.simulated.answers import Answer

_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}

Json = dict[str, Any]


class Head(Struct, frozen=True):
    """What every object of one answer repeats."""

    id: str
    model: str
    created: int


def whole(request: ChatRequest, answer: Answer, head: Head) -> bytes:
    """Return the answer as one JSON object."""
    if request.endpoint == "messages":
        return wire.encode(_message(answer, head))
    if request.endpoint == "completions":
        choice = {"text": answer.text, "index": 0, "logprobs": None, "finish_reason": answer.finish}
        return wire.encode(_openai(head, "text_completion", [choice], _usage(answer)))
    message: Json = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.tool is not None:
        function = {"name": answer.tool.name, "arguments": answer.text}
        call = {"id": _call_id(answer), "type": "function", "function": function}
        message |= {"content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
    return wire.encode(_openai(head, "chat.completion", [choice], _usage(answer)))


def blocks(request: ChatRequest, answer: Answer, head: Head) -> Iterator[Block]:
    """Yield one block a token, then one that ends the stream."""
    if request.endpoint == "messages":
        return _message_blocks(answer, head)
    if request.endpoint == "completions":
        return _completion_blocks(answer, head, wants_usage=request.wants_usage)
    return _chat_blocks(answer, head, wants_usage=request.wants_usage)


def finish_word(request: ChatRequest, answer: Answer) -> str:
    """Return the finish or stop reason in the request's dialect."""
    return _STOP_REASONS[answer.finish] if request.dialect == "anthropic" else answer.finish


def embeddings(model: str, vectors: Sequence[list[float]], asked: int, *, base64: bool) -> bytes:
    """Return vectors as OpenAI does, as numbers or as base64 of little-endian floats."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": b64encode(pack(f"<{len(vector)}f", *vector)).decode()
            if base64
            else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": asked, "total_tokens": asked}
    return wire.encode({"object": "list", "data": data, "model": model, "usage": usage})


def counted(asked: int) -> bytes:
    """Return the answer to a count_tokens request."""
    return wire.encode({"input_tokens": asked})


def failure(request: ChatRequest, status: int, text: str, param: str | None = None) -> bytes:
    """Return an error in the request's dialect, as the real providers word it."""
    if request.dialect == "anthropic":
        kinds = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
        error: Json = {"type": kinds.get(status, "api_error"), "message": text}
        return wire.encode({"type": "error", "error": error})
    kind, code = {
        400: ("invalid_request_error", "unsupported_value"),
        429: ("requests", "rate_limit_exceeded"),
    }.get(status, ("server_error", None))
    error = {"message": text, "type": kind, "param": param, "code": code}
    return wire.encode({"error": error})


def _call_id(answer: Answer) -> str:
    return f"call_{answer.tool.id}" if answer.tool else ""


def _usage(answer: Answer) -> Json:
    return {
        "prompt_tokens": answer.asked,
        "completion_tokens": len(answer.tokens),
        "total_tokens": answer.asked + len(answer.tokens),
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _openai(head: Head, kind: str, choices: list[Json], usage: Json | None = None) -> Json:
    common: Json = {"id": head.id, "object": kind, "created": head.created, "model": head.model}
    return common | {"choices": choices} | ({} if usage is None else {"usage": usage})


def _openai_end(answer: Answer, head: Head, kind: str, last: Json, *, wants_usage: bool) -> Block:
    finish = wire.encode(_openai(head, kind, [last]) | ({"usage": None} if wants_usage else {}))
    usage = wire.encode(_openai(head, kind, [], _usage(answer))) if wants_usage else b""
    return Block(encode_event(finish) + (encode_event(usage) if usage else b"") + DONE)


def _chat_blocks(answer: Answer, head: Head, *, wants_usage: bool) -> Iterator[Block]:
    kind = "chat.completion.chunk"
    tail: Json = {"usage": None} if wants_usage else {}

    def event(delta: Json, finish: str | None = None) -> Block:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return encode_event(wire.encode(_openai(head, kind, [choice]) | tail))

    if answer.tool is None:
        opening = event({"role": "assistant", "content": "", "refusal": None})
    else:
        call = {"index": 0, "id": _call_id(answer), "type": "function"}
        call |= {"function": {"name": answer.tool.name, "arguments": ""}}
        opening = event({"role": "assistant", "content": None, "tool_calls": [call]})
    for token in answer.tokens:
        if answer.tool is None:
            body = event({"content": token})
        else:
            body = event({"tool_calls": [{"index": 0, "function": {"arguments": token}}]})
        yield Block(opening + body)
        opening = Block(b"")
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": answer.finish}
    yield _openai_end(answer, head, kind, last, wants_usage=wants_usage)


def _completion_blocks(answer: Answer, head: Head, *, wants_usage: bool) -> Iterator[Block]:
    kind = "text_completion"
    tail: Json = {"usage": None} if wants_usage else {}
    for token in answer.tokens:
        choice = {"text": token, "index": 0, "logprobs": None, "finish_reason": None}
        yield encode_event(wire.encode(_openai(head, kind, [choice]) | tail))
    last = {"text": "", "index": 0, "logprobs": None, "finish_reason": answer.finish}
    yield _openai_end(answer, head, kind, last, wants_usage=wants_usage)


def _message(answer: Answer, head: Head) -> Json:
    content: Json = {"type": "text", "text": answer.text}
    if answer.tool is not None:
        arguments = wire.decode(answer.text) if answer.finish == "tool_calls" else {}
        content = _tool_use(answer, arguments)
    usage = {"input_tokens": answer.asked, "output_tokens": len(answer.tokens)}
    return _envelope(head) | {
        "content": [content],
        "stop_reason": _STOP_REASONS[answer.finish],
        "usage": _NO_CACHE | usage,
    }


def _message_blocks(answer: Answer, head: Head) -> Iterator[Block]:
    usage = _NO_CACHE | {"input_tokens": answer.asked, "output_tokens": 1}
    start = {"type": "message_start", "message": _envelope(head) | {"usage": usage}}
    content = {"type": "text", "text": ""} if answer.tool is None else _tool_use(answer, {})
    block_start = {"type": "content_block_start", "index": 0, "content_block": content}
    opening = _named(start) + _named(block_start)
    for token in answer.tokens:
        delta = {"type": "text_delta", "text": token}
        if answer.tool is not None:
            delta = {"type": "input_json_delta", "partial_json": token}
        event = _named({"type": "content_block_delta", "index": 0, "delta": delta})
        yield Block(opening + event)
        opening = b""
    stop = {"stop_reason": _STOP_REASONS[answer.finish], "stop_sequence": None}
    used = _NO_CACHE | {"input_tokens": answer.asked, "output_tokens": len(answer.tokens)}
    yield Block(
        _named({"type": "content_block_stop", "index": 0})
        + _named({"type": "message_delta", "delta": stop, "usage": used})
        + _named({"type": "message_stop"})
    )


_NO_CACHE: Final[Json] = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def _envelope(head: Head) -> Json:
    return {
        "id": head.id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _tool_use(answer: Answer, arguments: Json) -> Json:
    name = answer.tool.name if answer.tool else ""
    tool_id = f"toolu_{answer.tool.id}" if answer.tool else ""
    return {"type": "tool_use", "id": tool_id, "name": name, "input": arguments}


def _named(event: Json) -> bytes:
    return encode_event(wire.encode(event), event["type"])
