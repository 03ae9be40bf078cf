"""An Anthropic event stream as an OpenAI chat stream."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeAlias

from gateway.core import stream_errors, wire
from gateway.core.reply import Block, Tally
from gateway.core.sse import DONE, EMPTY, comment, events
from gateway.core.usage import anthropic_usage, begun
from gateway.providers.anthropic_wire.chat_reply import (
    annotations,
    finish_of,
    reasoning_detail,
    refusal_text,
    stop_extensions,
    text_of,
)
from gateway.providers.anthropic_wire.vocabulary import (
    PLAIN,
    AnswerForm,
    chat_usage,
    merge_usage,
)

PING: Final = comment("ping")
_NOTHING: Final[Mapping[str, Any]] = {}


class MessageEventsToChat:
    """A StreamCodec: Anthropic's events in, OpenAI's chunks out.

    Thinking comes out as `delta.reasoning_content`; when a thinking block is complete, it follows
    once more with its signature in `delta.reasoning_details`, which `chat_request` takes back.
    """

    def __init__(
        self, *, include_usage: bool, model: str, created: int, form: AnswerForm = PLAIN
    ) -> None:
        self.tally = Tally()
        self.primed = False
        self._form = form
        self._include_usage = include_usage
        self._model = model
        self._created = created
        self._head = b""
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._usage: dict[str, Any] = {}
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._details = 0
        self._length = 0
        self._annotations: list[dict[str, Any]] = []

    def feed(self, block: Block) -> Block:
        """Return the caller's chunks for the upstream's events, possibly none."""
        if not block.isascii():
            stream_errors.check_text(block, self.primed)
        return Block(b"".join([self._event(event.data) for event in events(block)]))

    def finish(self) -> Block:
        """Check that message_stop has passed. Raises StreamCut or UpstreamBroken."""
        if not self.tally.clean:
            raise stream_errors.truncated(self.primed)
        return EMPTY

    def _event(self, data: bytes) -> bytes:
        try:
            event = wire.decode(data)
        except ValueError as error:
            raise stream_errors.garbage(self.primed, "an event is not JSON") from error
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str):
            raise stream_errors.garbage(self.primed, "an event has no type")
        if kind == "error":
            raise stream_errors.reported(data, self.primed)
        handle = self._HANDLERS.get(kind)
        return handle(self, event) if handle else EMPTY  # a kind that is not known yet

    # --- the frame ------------------------------------------------------------------------------

    def _ping(self, _event: Mapping[str, Any]) -> bytes:
        return PING

    def _message_start(self, event: Mapping[str, Any]) -> bytes:
        message = _object(event.get("message"))
        self._count(begun(message.get("usage")))
        start = wire.encode(
            {
                "id": text_of(message.get("id")),
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": self._model,
            }
        )
        self._head = b"data: " + start[:-1]
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def _chunk(self, delta: bytes, finish: bytes = b"null", more: bytes = b"") -> bytes:
        if not self._head:
            raise stream_errors.garbage(self.primed, "content before message_start")
        return b"".join(
            (
                self._head,
                b',"choices":[{"index":0,"delta":',
                delta,
                b',"logprobs":null,"finish_reason":',
                finish,
                more,
                b"}]",
                self._tail,
            )
        )

    def _content(self, delta: bytes, text: str) -> bytes:
        """Return the chunk of a delta; `text` is what in it the model has written."""
        chunk = self._chunk(delta)
        self.primed = True
        self.tally.saw(text)
        return chunk

    def _message_delta(self, event: Mapping[str, Any]) -> bytes:
        self._count(event.get("usage"))
        delta = _object(event.get("delta"))
        stop = delta.get("stop_reason")
        if not isinstance(stop, str):
            return b""
        return self._end(stop, delta)

    def _end(self, stop: str, ending: Mapping[str, Any]) -> bytes:
        if self.tally.finish is not None:
            return b""
        parts = []
        if stop == "refusal":
            parts.append(self._chunk(_field("refusal", refusal_text(ending))))
        if self._annotations:
            parts.append(self._chunk(_field("annotations", self._annotations)))
        finish = finish_of(stop, called=self._calls > 0, form=self._form)
        self.tally.finish = finish
        more = stop_extensions(ending)
        extra = b"," + wire.encode(more)[1:-1] if more else b""
        parts.append(self._chunk(b"{}", wire.encode(finish), extra))
        self.primed = True
        return b"".join(parts)

    def _message_stop(self, _event: Mapping[str, Any]) -> bytes:
        last = self._end("", _NOTHING)
        self.tally.clean = True
        if self._include_usage and self.tally.usage is not None:
            said = wire.encode(chat_usage(self.tally.usage))
            last += self._head + b',"choices":[],"usage":' + said + b"}\n\n"
        return last + DONE

    def _count(self, usage: object) -> None:
        """Keep the tally current, so that a stream that is cut is charged for what was said."""
        if isinstance(usage, dict):
            merge_usage(self._usage, usage)
            self.tally.usage = anthropic_usage(self._usage)

    # --- the blocks -----------------------------------------------------------------------------

    def _block_start(self, event: Mapping[str, Any]) -> bytes:
        given = _object(event.get("content_block"))
        opened = _Open(given, self._length)
        self._open[_index(event)] = opened
        match opened.kind:
            case "text":
                return self._text(opened, given.get("text"))
            case "thinking":
                return self._thinking(opened, given.get("thinking"))
            case "tool_use" if not self._is_json(opened):
                return self._tool(opened, given)
            case _:
                return b""

    def _block_delta(self, event: Mapping[str, Any]) -> bytes:
        opened = self._open.get(_index(event))
        delta = _object(event.get("delta"))
        if opened is None:
            return b""
        match delta.get("type"):
            case "text_delta":
                return self._text(opened, delta.get("text"))
            case "thinking_delta":
                return self._thinking(opened, delta.get("thinking"))
            case "input_json_delta" if opened.kind == "tool_use":
                return self._arguments(opened, delta.get("partial_json"))
            case "signature_delta":
                opened.signature = delta.get("signature")
            case "citations_delta":
                opened.citations.append(delta.get("citation"))
            case _:
                pass
        return b""

    def _block_stop(self, event: Mapping[str, Any]) -> bytes:
        opened = self._open.pop(_index(event), None)
        if opened is None:
            return b""
        self._annotations += annotations(opened.citations, opened.start, self._length)
        if opened.kind == "tool_use" and not opened.argued:
            # Nothing streamed: the input was in the block's start, or there is none.
            return self._arguments(opened, wire.encode(opened.given).decode())
        detail = reasoning_detail(opened.thought(), self._details)
        if detail is None:
            return b""
        self._details += 1
        return self._content(_field("reasoning_details", [detail]), "")

    def _text(self, opened: "_Open", text: object) -> bytes:
        if opened.kind != "text" or not isinstance(text, str) or not text:
            return b""
        self._length += len(text)
        return self._content(_field("content", text), text)

    def _thinking(self, opened: "_Open", text: object) -> bytes:
        if opened.kind != "thinking" or not isinstance(text, str) or not text:
            return b""
        opened.thoughts.append(text)
        return self._content(_field("reasoning_content", text), text)

    def _is_json(self, opened: "_Open") -> bool:
        return bool(self._form.json_tool) and opened.name == self._form.json_tool

    def _tool(self, opened: "_Open", given: Mapping[str, Any]) -> bytes:
        opened.call = self._calls
        self._calls += 1
        function = {"name": opened.name, "arguments": ""}
        if self._form.functions:
            return self._content(_field("function_call", function), opened.name)
        call = {
            "index": opened.call,
            "id": text_of(given.get("id")),
            "type": "function",
            "function": function,
        }
        return self._content(_field("tool_calls", [call]), opened.name)

    def _arguments(self, opened: "_Open", fragment: object) -> bytes:
        if not isinstance(fragment, str) or not fragment:
            return b""
        opened.argued = True
        if self._is_json(opened):
            return self._content(_field("content", fragment), fragment)
        if self._form.functions:
            return self._content(_field("function_call", {"arguments": fragment}), fragment)
        call = {"index": opened.call, "function": {"arguments": fragment}}
        return self._content(_field("tool_calls", [call]), fragment)

    _HANDLERS: ClassVar[Mapping[str, "_Handler"]] = {
        "content_block_delta": _block_delta,
        "content_block_start": _block_start,
        "content_block_stop": _block_stop,
        "message_start": _message_start,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
        "ping": _ping,
    }


_Handler: TypeAlias = Callable[[MessageEventsToChat, Mapping[str, Any]], bytes]


class _Open:
    """A content block that has started and not stopped."""

    __slots__ = (
        "argued", "call", "citations", "given", "kind", "name", "signature", "source", "start",
        "thoughts",
    )  # fmt: skip

    def __init__(self, block: Mapping[str, Any], start: int) -> None:
        self.kind = block.get("type")
        self.name = text_of(block.get("name"))
        self.given = block.get("input") or {}
        self.signature = block.get("signature")
        self.source = block
        self.start = start
        self.call = 0
        self.argued = False
        self.thoughts: list[str] = []
        self.citations: list[object] = []

    def thought(self) -> Mapping[str, Any]:
        """Return the finished thinking block, with an empty signature for any other kind."""
        if self.kind == "redacted_thinking":
            return self.source
        signature = self.signature if self.kind == "thinking" else ""
        return {
            "type": "thinking", "thinking": "".join(self.thoughts), "signature": signature,
        }  # fmt: skip


def _index(event: Mapping[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0


def _field(name: str, value: object) -> bytes:
    return b'{"' + name.encode() + b'":' + wire.encode(value) + b"}"


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING
