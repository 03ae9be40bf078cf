"""A stream folded into the whole answer that it tells."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from gateway.core import wire
from gateway.core.chat import Endpoint
from gateway.core.reply import Usage
from gateway.core.sse import events
from gateway.core.usage import anthropic_usage, openai_usage

_SPOKEN: Final = {"content", "refusal", "reasoning_content", "reasoning", "text"}
_GROWING: Final = frozenset({*_SPOKEN, "arguments", "data", "transcript", "summary"})
"""The fields of a delta whose strings are fragments; all other strings are whole."""


class Assembler(Protocol):
    """Takes all blocks of a clean stream, then gives the whole answer."""

    def feed(self, block: bytes) -> None:
        """Take the next block. Raises ValueError for what is no event of the dialect."""
        ...

    def finish(self) -> tuple[bytes, Usage | None]:
        """Return the answer's JSON and its usage."""
        ...


def assembler_for(endpoint: Endpoint) -> Assembler:
    """Return the assembler of an endpoint's streams: chat, completions or messages."""
    return MessageAssembler() if endpoint == "messages" else CompletionAssembler()


class CompletionAssembler:
    """Folds chat chunks and legacy completions."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        for event in events(block):
            if event.data and not event.data.startswith(b"[DONE]"):
                self._chunk(wire.decode_as(event.data, dict[str, Any]))

    def finish(self) -> tuple[bytes, Usage | None]:
        """Return the answer's JSON and its usage."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            _close_calls(choice.get("message"))
        answer = {**self._answer, "choices": choices}
        return wire.encode(answer), openai_usage(answer.get("usage"))

    def _chunk(self, chunk: dict[str, Any]) -> None:
        for choice in chunk.pop("choices", None) or []:
            self._choice(choice)
        chunk.pop("obfuscation", None)  # padding of one event, no part of an answer
        if chunk.get("object") == "chat.completion.chunk":
            chunk["object"] = "chat.completion"
        _update(self._answer, chunk)

    def _choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index", 0)
        known = self._choices.setdefault(index, {"index": index})
        delta = choice.pop("delta", None)
        if isinstance(delta, dict):
            _merge(known.setdefault("message", {}), delta)
        _merge(known, choice)


class MessageAssembler:
    """Folds Anthropic message events."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {"content": []}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        for event in events(block):
            try:
                self._event(wire.decode_as(event.data, dict[str, Any]))
            except (KeyError, TypeError) as error:
                raise ValueError("not a message event") from error

    def finish(self) -> tuple[bytes, Usage | None]:
        """Return the message's JSON and its usage."""
        for index, parts in self._inputs.items():
            text = "".join(parts)
            if text:
                self._blocks[index]["input"] = wire.decode(text)
        self._message["content"] = [self._blocks[index] for index in sorted(self._blocks)]
        usage = self._message.get("usage")
        return wire.encode(self._message), anthropic_usage(usage) if usage else None

    def _event(self, event: dict[str, Any]) -> None:
        match event.pop("type", ""):
            case "message_start":
                self._message |= event["message"]
            case "content_block_start":
                self._blocks[event["index"]] = event["content_block"]
            case "content_block_delta":
                self._delta(event["index"], event["delta"])
            case "message_delta":
                usage = event.pop("usage", None)
                if usage is not None:
                    _update(self._message.setdefault("usage", {}), usage)
                _update(self._message, event.pop("delta", {}))
                _update(self._message, event)
            case _:
                pass

    def _delta(self, index: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks[index]
        match delta.get("type"):
            case "text_delta":
                block["text"] += delta["text"]
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case "input_json_delta":
                self._inputs.setdefault(index, []).append(delta["partial_json"])
            case "compaction_delta":
                block["content"] = (block.get("content") or "") + (delta.get("content") or "")
            case _:
                pass


def _update(known: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Take over what is not null; a null only takes a place that is empty."""
    for name, value in new.items():
        if value is not None or name not in known:
            known[name] = value


def _merge(known: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta: fragments are joined, lists grow, numbered items grow where they are."""
    for name, value in delta.items():
        old = known.get(name)
        if old is None:
            known[name] = _first(name, value)
        elif isinstance(value, str) and isinstance(old, str) and name in _GROWING:
            known[name] = old + value
        elif isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        elif isinstance(value, list) and isinstance(old, list):
            _extend(name, old, value)
        elif value is not None and value != "":
            known[name] = value


def _first(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON values
    if name == "tool_calls" and isinstance(value, list):
        calls: list[Any] = []
        _extend(name, calls, value)
        return calls
    return value


def _extend(name: str, old: list[Any], new: list[Any]) -> None:
    """Append items, or merge them with the one of the same `index` that an earlier delta began."""
    numbered = name in {"tool_calls", "reasoning_details"}
    begun = {
        item["index"]: item
        for item in old
        if isinstance(item, dict) and isinstance(item.get("index"), int)
    }
    for item in new:
        index = item.get("index") if numbered and isinstance(item, dict) else None
        earlier = begun.get(index) if index is not None else None
        if earlier is None:
            old.append(item)
        else:
            _merge(earlier, item)


def _close_calls(message: object) -> None:
    """Put tool calls in order and drop the numbers that only a stream needs."""
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if isinstance(calls, list) and all(isinstance(call, dict) for call in calls):
        calls.sort(key=lambda call: call.get("index", 0))
        for call in calls:
            call.pop("index", None)
