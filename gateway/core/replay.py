"""A whole answer told again as a stream: for upstreams that cannot stream, and stored answers.

What is told here folds back into an equal answer: see `core/assemble.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import Endpoint
from gateway.core.reply import Block
from gateway.core.sse import DONE, encode_event

PIECE: Final = 4096
"""Characters of text in one event, so that no event comes near a reader's limit."""
_CONSTANT: Final = ("id", "created", "model", "system_fingerprint", "service_tier")
_SPOKEN: Final = ("reasoning_content", "reasoning", "content", "refusal")
_LATE: Final = ("stop_reason", "stop_sequence", "stop_details", "container")
_INPUT_BLOCKS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})

Fields = Mapping[str, Any]


def whole_to_blocks(
    body: bytes, endpoint: Endpoint, *, include_usage: bool, piece: int = PIECE
) -> Iterator[Block]:
    """Yield the events of a whole answer, terminal event last.

    `include_usage` is for OpenAI callers; a message stream always tells its usage. An event has up
    to `piece` characters of text. Raises ValueError when `body` is no answer of that endpoint.
    """
    answer = wire.decode(body)
    try:
        if endpoint == "messages":
            yield from _message(answer, piece)
        else:
            yield from _completion(answer, endpoint, piece, include_usage=include_usage)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not an answer of this endpoint") from error


def _completion(
    answer: Fields, endpoint: Endpoint, size: int, *, include_usage: bool
) -> Iterator[Block]:
    choices, usage = answer["choices"], answer.get("usage")
    base = {name: answer[name] for name in _CONSTANT if name in answer}
    base["object"] = "chat.completion.chunk" if endpoint == "chat" else "text_completion"
    if include_usage and "usage" in answer:
        base["usage"] = None
    known = {*base, "choices", "usage"}
    extra = {name: value for name, value in answer.items() if name not in known}
    tell = _chat_choice if endpoint == "chat" else _text_choice
    for choice in choices:
        for part in tell(choice, size):
            index = choice.get("index", 0)
            full = {"index": index, "finish_reason": None, **part}
            yield _data({**base, **extra, "choices": [full]})
            extra = {}
    if extra or not choices:
        yield _data({**base, **extra, "choices": []})
    if include_usage and usage is not None:
        yield _data({**base, "choices": [], "usage": usage})
    yield DONE


def _chat_choice(choice: Fields, size: int) -> Iterator[dict[str, Any]]:
    message = choice.get("message", {})  # Azure leaves it out where its filter took everything
    opening = {
        name: "" if name in _SPOKEN and isinstance(value, str) else value
        for name, value in message.items()
        if name in {"role", *_SPOKEN} or value is None
    }
    if opening:
        yield {"delta": opening}
    for name in _SPOKEN:
        if isinstance(message.get(name), str):
            yield from ({"delta": {name: piece}} for piece in _pieces(message[name], size))
    for name, value in message.items():
        if name == "tool_calls" and value:
            yield from _tool_calls(value, size)
        elif name not in opening:
            yield {"delta": {name: value}}
    rest = {name: value for name, value in choice.items() if name not in {"message", "index"}}
    yield {"delta": {}, **rest}


def _tool_calls(calls: list[Fields], size: int) -> Iterator[dict[str, Any]]:
    for index, call in enumerate(calls):
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            yield {"delta": {"tool_calls": [{**call, "index": index}]}}
            continue
        opening = {**call, "index": index, "function": {**function, "arguments": ""}}
        yield {"delta": {"tool_calls": [opening]}}
        for piece in _pieces(function["arguments"], size):
            yield {"delta": {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}}


def _text_choice(choice: Fields, size: int) -> Iterator[dict[str, Any]]:
    yield from ({"text": piece} for piece in _pieces(choice["text"], size))
    yield {**choice, "text": ""}


def _message(message: Fields, size: int) -> Iterator[Block]:
    usage = message.get("usage")
    late = {name: message[name] for name in _LATE if name in message}
    opening = {name: value for name, value in message.items() if name not in late}
    opening |= {"content": [], "stop_reason": None, "stop_sequence": None}
    if isinstance(usage, dict) and "output_tokens" in usage:
        opening["usage"] = {**usage, "output_tokens": 0}
    yield _event({"type": "message_start", "message": opening})
    for index, block in enumerate(message["content"]):
        yield from _content_block(index, block, size)
    ending: dict[str, Any] = {"type": "message_delta", "delta": late}
    if usage is not None:
        ending["usage"] = usage
    yield _event(ending)
    yield _event({"type": "message_stop"})


def _content_block(index: int, block: Fields, size: int) -> Iterator[Block]:
    opening, deltas = _taken_apart(block, size)
    yield _event({"type": "content_block_start", "index": index, "content_block": opening})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _taken_apart(block: Fields, size: int) -> tuple[Fields, list[Fields]]:
    """Return a content block as it opens, and the deltas that complete it."""
    kind, deltas = block["type"], list[Fields]()
    if kind == "text":
        citations = block.get("citations") or []
        deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
        deltas += [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"], size)]
        return {**block, "text": "", **({"citations": []} if citations else {})}, deltas
    if kind == "thinking":
        text = _pieces(block["thinking"], size)
        deltas += [{"type": "thinking_delta", "thinking": piece} for piece in text]
        opening = {**block, "thinking": ""}
        if block.get("signature"):
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            opening["signature"] = ""
        return opening, deltas
    if kind in _INPUT_BLOCKS and isinstance(block.get("input"), dict):
        text = _pieces(wire.encode(block["input"]).decode(), size)
        deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in text]
        return {**block, "input": {}}, deltas
    return block, deltas


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _data(chunk: Fields) -> Block:
    return encode_event(wire.encode(chunk))


def _event(event: Fields) -> Block:
    return encode_event(wire.encode(event), event["type"])
