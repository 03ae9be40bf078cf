"""Codecs of event streams, without I/O: what passes is read, counted and, if need be, changed."""

from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET, Struct

from gateway.core import stream_errors, wire
from gateway.core.reply import Block, Tally
from gateway.core.sse import DONE, EMPTY, encode_event, read_event, split_events
from gateway.core.usage import anthropic_usage, begun, openai_usage, token_count

_NULL_USAGE: Final = b',"usage":null'


class StreamCodec(Protocol):
    """Takes the upstream's blocks, gives the caller's blocks, and keeps the tally.

    `primed` turns true with the first content-bearing or finishing event. `feed` raises
    GatewayError: before `primed` one that says whether another try may help, after it StreamCut.
    A provider's own error event after `primed` may pass instead, noted in `tally.error`.
    `finish` is called at the upstream's end and raises StreamCut when the terminal event is
    missing. Codecs keep the tally's usage, finish and clean; its reader counts blocks and size.
    """

    tally: Tally
    primed: bool

    def feed(self, block: Block) -> Block: ...
    def finish(self) -> Block: ...


class _Delta(Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class _Choice(Struct, gc=False):
    index: int = 0
    finish_reason: Any = None
    delta: _Delta | None = None
    text: Any = None


class _Chunk(Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = UNSET
    error: Any = None


_read_chunk: Final = wire.decoder(_Chunk).decode
_BAD_JSON: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class OpenAIMeter:
    """Passes an OpenAI stream (chat, legacy completions) untouched, and reads it.

    With `hide_usage` the caller did not ask for usage, so what the upstream says about it is
    read and taken out; every other byte stays.
    """

    def __init__(self, hide_usage: bool) -> None:
        self.tally = Tally()
        self.primed = False
        self._hide_usage = hide_usage
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, block: Block) -> Block:
        """Return what the caller gets of `block`."""
        if not block.isascii():
            stream_errors.check_text(block, self.primed)
        if block.startswith(b"data: {") and block.find(b"\n") == len(block) - 2:
            return self._chunk(block, block[6:-2], "")
        return Block(b"".join([self._any_event(raw) for raw in split_events(block)]))

    def finish(self) -> Block:
        """Return the [DONE] that the upstream left out. Raises StreamCut or UpstreamBroken."""
        tally = self.tally
        if not tally.clean and not tally.error:
            if self._open or not self._finished:
                raise stream_errors.truncated(self.primed)
            tally.clean = True
            return DONE
        return EMPTY

    def _any_event(self, raw: Block) -> Block:
        event = read_event(raw)
        if event is None or not event.data:
            # A named event without data makes the OpenAI SDKs fail; a comment is skipped by all.
            return raw if raw.startswith(b":") else EMPTY
        return self._event(raw, event.data, event.name)

    def _event(self, raw: Block, data: bytes, name: str) -> Block:
        if data.startswith(b"[DONE]"):
            if not self.primed:
                raise stream_errors.garbage(False, "[DONE] before any content")
            self.tally.clean = not self.tally.error
            return raw
        return self._chunk(raw, data, name)

    def _chunk(self, raw: Block, data: bytes, name: str) -> Block:
        try:
            chunk = _read_chunk(data)
        except _BAD_JSON as error:
            raise stream_errors.garbage(self.primed, "an event is not a chunk") from error
        if chunk.error is not None or name == "error":
            _heed(data, self.tally, self.primed)
        if chunk.choices:
            self._choices(chunk.choices)
        if chunk.usage is UNSET:
            return raw
        return self._usage(chunk, raw, data, name)

    def _choices(self, choices: list[_Choice]) -> None:
        for choice in choices:
            if choice.finish_reason:
                self._finish(choice)
            elif choice.index not in self._finished:
                self._open.add(choice.index)
            delta = choice.delta
            text = delta.content if delta is not None else choice.text
            if type(text) is str and text:
                self.tally.saw(text)
            elif delta is not None:
                _see_rarer(delta, self.tally)
            if not self.primed and _bears_content(choice):
                self.primed = True

    def _finish(self, choice: _Choice) -> None:
        self.primed = True
        self._open.discard(choice.index)
        self._finished.add(choice.index)
        if isinstance(choice.finish_reason, str):
            self.tally.finish = choice.finish_reason

    def _usage(self, chunk: _Chunk, raw: Block, data: bytes, name: str) -> Block:
        if chunk.usage is not None:
            self.tally.usage = openai_usage(chunk.usage, self.tally.usage)
        if not self._hide_usage:
            return raw
        if chunk.usage is not None:
            if not chunk.choices:
                return EMPTY
        elif raw.count(_NULL_USAGE) == 1:
            return Block(raw.replace(_NULL_USAGE, b""))
        return encode_event(wire.replace_fields(data, {"usage": None}), name)


class _Message(Struct, gc=False):
    usage: Any = None


class _Opened(Struct, gc=False):
    type: Any = None
    name: Any = None


class _MessageDelta(Struct, gc=False):
    stop_reason: Any = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None


class _MessageEvent(Struct, gc=False):
    type: str = ""
    message: _Message | None = None
    usage: Any = None
    delta: _MessageDelta | None = None
    content_block: _Opened | None = None


_read_message_event: Final = wire.decoder(_MessageEvent).decode


class AnthropicMeter:
    """Passes an Anthropic message stream untouched, and reads it; nameless events get a name."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.primed = False
        self._known: dict[str, Any] = {}

    def feed(self, block: Block) -> Block:
        """Return `block`, read. Raises GatewayError for error events and what is no event."""
        if not block.isascii():
            stream_errors.check_text(block, self.primed)
        parts = [self._any_event(raw) for raw in split_events(block)]
        return parts[0] if len(parts) == 1 else Block(b"".join(parts))

    def _any_event(self, raw: Block) -> Block:
        event = read_event(raw)
        if event is None or not event.data:
            return raw if raw.startswith(b":") else EMPTY
        kind = self._event(event.data)
        # Anthropic's SDKs pass over an event without a name, even an error.
        return raw if event.name else encode_event(event.data, kind)

    def finish(self) -> Block:
        """Check that message_stop has passed. Raises StreamCut or UpstreamBroken."""
        if not self.tally.clean and not self.tally.error:
            raise stream_errors.truncated(self.primed)
        return EMPTY

    def _event(self, data: bytes) -> str:
        """Read one event and return what it is called."""
        try:
            event = _read_message_event(data)
        except _BAD_JSON as error:
            raise stream_errors.garbage(self.primed, "an event is not a message event") from error
        match event.type:
            case "content_block_delta":
                self.primed = True
                _see_delta(event.delta, self.tally)
            case "content_block_start":
                block = event.content_block
                if block is not None and block.type not in {"text", "thinking"}:
                    self.primed = True
                    _see(block.name, self.tally)
            case "message_start":
                self._count(begun(event.message.usage if event.message else None))
            case "message_delta":
                self._message_delta(event)
            case "message_stop":
                self.primed = True
                self.tally.clean = not self.tally.error
            case "error":
                _heed(data, self.tally, self.primed)
            case _:
                pass
        return event.type if event.type.isidentifier() else "message"

    def _message_delta(self, event: _MessageEvent) -> None:
        self._count(event.usage)
        if event.delta and isinstance(event.delta.stop_reason, str):
            self.tally.finish = event.delta.stop_reason
            self.primed = True

    def _count(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        for name, value in usage.items():  # the figures are cumulative: the last good one counts
            if isinstance(value, dict | list) or token_count(value, -1) >= 0:
                self._known[name] = value
        self.tally.usage = anthropic_usage(self._known)


def _heed(data: bytes, tally: Tally, primed: bool) -> None:
    """Let the provider's own words pass once the caller holds a part of the answer."""
    error = stream_errors.reported(data, primed)
    if not primed:
        raise error
    tally.error = error.code


def _see_delta(delta: _MessageDelta | None, tally: Tally) -> None:
    text = delta and (delta.text or delta.thinking or delta.partial_json)
    if type(text) is str:
        tally.saw(text)


def _see(text: object, tally: Tally) -> None:
    if type(text) is str:
        tally.saw(text)


def _see_rarer(delta: _Delta, tally: Tally) -> None:
    """Count what a delta brings that is no content: thoughts, a refusal, calls, what is spoken."""
    _see(delta.reasoning_content or delta.reasoning, tally)
    _see(delta.refusal, tally)
    calls = delta.tool_calls if isinstance(delta.tool_calls, list) else []
    for call in (*calls, {"function": delta.function_call}):
        called = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        if isinstance(called, dict):
            for text in called.values():
                _see(text, tally)
    if isinstance(delta.audio, dict):
        _see(delta.audio.get("transcript"), tally)


def _bears_content(choice: _Choice) -> bool:
    delta = choice.delta
    if delta is None:
        return bool(choice.text)
    return bool(
        delta.content
        or delta.tool_calls
        or delta.function_call
        or delta.refusal
        or delta.reasoning_content
        or delta.reasoning
        or delta.reasoning_details
        or delta.audio
    )
