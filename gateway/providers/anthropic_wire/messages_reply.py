"""An OpenAI chat completion as an Anthropic message; also what both forms of it have in common."""

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.core import stream_errors, wire
from gateway.core.reply import Usage
from gateway.core.usage import openai_usage
from gateway.providers.anthropic_wire.vocabulary import (
    anthropic_tool_id,
    messages_usage,
    stop_reason,
)

BAD_JSON: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
CUT_SHORT: Final = ("length", "content_filter")
"""Finish reasons after which a tool call may be incomplete without anybody being at fault."""
_FAILED: Final = ("error", "abort", "insufficient_system_resource")
_REASONS: Final = ("stop", "eos", "end_turn", "length", "max_tokens", "tool_calls", "tool_use")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


class Said(Struct, gc=False):
    """A message or a delta: what the model said. Servers differ, so every type is checked later."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield ("thinking" | "text" | "refusal", text) in reading order, never an empty text."""
        reasoning = self.reasoning_content or self.reasoning
        if reasoning and isinstance(reasoning, str):
            yield "thinking", reasoning
        if self.content and isinstance(self.content, str):
            yield "text", self.content
        elif isinstance(self.content, list):
            yield from _parts(self.content)
        if self.refusal and isinstance(self.refusal, str):
            yield "refusal", self.refusal

    def calls(self) -> "Iterator[CallPiece]":
        """Yield tool calls, or fragments of them. Raises ValueError when they are none."""
        if isinstance(self.tool_calls, list):
            for call in self.tool_calls:
                yield _call_piece(call)
        if isinstance(self.function_call, dict):
            yield _call_piece({"function": self.function_call})


class CallPiece(Struct, gc=False):
    """A tool call or a fragment of one; `index` is None where the server gives none."""

    index: int | None
    id: str
    name: str
    arguments: str


class Choice(Struct, gc=False):
    """One choice; `stop_reason` (vLLM) and `matched_stop` (SGLang) hold the matched stop string."""

    index: Any = 0
    finish_reason: Any = None
    message: Said | None = None
    delta: Said | None = None
    stop_reason: Any = None
    matched_stop: Any = None
    error: Any = None

    @property
    def stop_sequence(self) -> str | None:
        """The stop string that ended the answer, where the server tells."""
        for matched in (self.stop_reason, self.matched_stop):
            if matched and isinstance(matched, str) and matched not in _REASONS:
                return matched
        return None

    def check(self, primed: bool) -> None:
        """Raise what an unfinished answer in the guise of a finished one deserves."""
        if self.error is not None or self.finish_reason in _FAILED:
            error = self.error or {"message": "the provider broke off"}
            raise stream_errors.reported(wire.encode({"error": error}), primed)


class Completion(Struct, gc=False):
    """A chat completion or one chunk of it."""

    id: Any = None
    object: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None

    @property
    def is_error(self) -> bool:
        """Whether this is an error with status 200."""
        return self.error is not None or self.object == "error"


class ToolIds:
    """Gives every tool call of one message an id that Anthropic clients take, each only once."""

    def __init__(self, message_id: str) -> None:
        self._prefix = "toolu_" + message_id.removeprefix("msg_")[:40]
        self._taken: set[str] = set()

    def claim(self, call_id: str) -> str:
        """Return `call_id` if it is legal and new, else a replacement."""
        taken = len(self._taken)
        name = anthropic_tool_id(call_id) if call_id else f"{self._prefix}_{taken}"
        if name in self._taken:
            name = f"{self._prefix}_{taken}"
        self._taken.add(name)
        return name


read_completion: Final = wire.decoder(Completion).decode


def message_id(upstream_id: object, seed: bytes) -> str:
    """Return a message id made of the upstream's id, or of `seed` when it gave none."""
    text = upstream_id.removeprefix("chatcmpl-") if isinstance(upstream_id, str) else ""
    clean = _NOT_IN_ID.sub("", text)[:64]
    return "msg_" + (clean or blake2b(seed, digest_size=12).hexdigest())


def arguments_of(text: str) -> dict[str, Any]:
    """Return a call's arguments; none at all are an empty object. Raises ValueError."""
    if text.strip() in {"", "null"}:
        return {}
    arguments = wire.decode(text)
    if not isinstance(arguments, dict):
        raise ValueError("arguments are not an object")  # noqa: TRY004 - as bad as bad JSON
    return arguments


def refusal_details(text: str) -> dict[str, Any] | None:
    """Return `stop_details` for what the model said when it refused, None when it did not."""
    return {"type": "refusal", "category": None, "explanation": text} if text else None


def chat_to_message(body: bytes, *, model: str) -> tuple[bytes, Usage | None]:
    """Return the Messages body and its usage. Raises UpstreamError when it is no completion.

    A message must state numbers: where the provider told none they are 0, and the usage is None.
    """
    try:
        completion = read_completion(body)
    except BAD_JSON as error:
        raise stream_errors.garbage(False, "the answer is not a chat completion") from error
    if completion.is_error:
        raise stream_errors.reported(body, False)
    if not completion.choices:
        raise stream_errors.garbage(False, "the answer has no choices")
    choice = completion.choices[0]
    choice.check(False)
    name = message_id(completion.id, body)
    try:
        content, refused, called = _content(choice, ToolIds(name))
    except ValueError as error:
        raise stream_errors.garbage(False, f"a tool call is broken: {error}") from error
    finish = choice.finish_reason if isinstance(choice.finish_reason, str) else None
    reason = stop_reason(finish, called=called, stop_sequence=choice.stop_sequence)
    usage = openai_usage(completion.usage)
    message: dict[str, Any] = {
        "id": name,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "refusal" if refused else reason,
        "stop_sequence": choice.stop_sequence if reason == "stop_sequence" else None,
        "usage": messages_usage(usage or Usage()),
    }
    if refused:
        message["stop_details"] = refusal_details(refused)
    return wire.encode(message), usage


def _content(choice: Choice, ids: ToolIds) -> tuple[list[dict[str, Any]], str, bool]:
    """Return the blocks, the refusal's text and whether a tool was called."""
    said = choice.message or Said()
    content: list[dict[str, Any]] = []
    refused = ""
    for kind, text in said.pieces():
        if kind == "thinking":
            content.append({"type": "thinking", "thinking": text, "signature": ""})
        else:
            content.append({"type": "text", "text": text})
            refused += text if kind == "refusal" else ""
    called = False
    for call in said.calls():
        try:
            arguments = arguments_of(call.arguments)
        except ValueError:
            if choice.finish_reason in CUT_SHORT:
                continue
            raise
        if not call.name:
            raise ValueError("no name")
        called = True
        use = {"type": "tool_use", "id": ids.claim(call.id), "name": call.name}
        content.append({**use, "input": arguments})
    return content, refused, called


def _parts(content: list[Any]) -> Iterator[tuple[str, str]]:
    """Read content in parts, as Mistral's reasoning models give it."""
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "thinking":
            inner = part.get("thinking")
            texts = [text for _, text in _parts(inner)] if isinstance(inner, list) else [inner]
            yield from (("thinking", text) for text in texts if text and isinstance(text, str))
        elif kind in ("text", "refusal"):
            text = part.get(kind)
            if text and isinstance(text, str):
                yield kind, text


def _call_piece(call: object) -> CallPiece:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, Mapping | None):
        raise ValueError("not a function call")  # noqa: TRY004 - as bad as bad JSON
    function = function or {}
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = wire.encode(arguments).decode()
    index = call.get("index")
    return CallPiece(
        index=index if isinstance(index, int) else None,
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments=_text(arguments),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
