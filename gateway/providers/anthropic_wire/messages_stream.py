"""An OpenAI chat stream as Anthropic's event stream."""

from typing import Any, Final

from gateway.core import stream_errors, wire
from gateway.core.reply import Block, Tally, Usage
from gateway.core.sse import EMPTY, encode_event, events
from gateway.core.usage import openai_usage
from gateway.providers.anthropic_wire.messages_blocks import Part, Sequence
from gateway.providers.anthropic_wire.messages_reply import (
    BAD_JSON,
    CUT_SHORT,
    CallPiece,
    Choice,
    Completion,
    ToolIds,
    message_id,
    read_completion,
    refusal_details,
)
from gateway.providers.anthropic_wire.vocabulary import messages_usage, stop_reason

PING: Final = encode_event(b'{"type": "ping"}', "ping")
_END: Final = encode_event(b'{"type":"message_stop"}', "message_stop")


class ChatEventsToMessage:
    """A StreamCodec from OpenAI chat chunks to Messages events.

    `message_start` goes out with the first choice, before token counts are known; the real ones
    are in `message_delta`, which waits for [DONE] or the end: the last usage told is the right one.
    """

    def __init__(self, *, model: str) -> None:
        self.tally = Tally()
        self.primed = False
        self._model = model
        self._sequence = Sequence()
        self._started = False
        self._ids = ToolIds("")
        self._by_index: dict[int, tuple[str, Part]] = {}
        self._by_id: dict[str, Part] = {}
        self._newest: Part | None = None
        self._finish: str | None = None
        self._matched: str | None = None
        self._refused: list[str] = []

    def feed(self, block: Block) -> Block:
        """Return the events that `block` means, possibly none."""
        if not block.isascii():
            stream_errors.check_text(block, self.primed)
        if block.startswith(b":") or block.find(b"\n:") >= 0:
            for text in block.split(b"\n\n"):
                self._passage(text)
        else:
            for event in events(block):
                self._event(event.data, event.name)
        return self._take()

    def finish(self) -> Block:
        """Return the end that a missing [DONE] left owing. Raises StreamCut or UpstreamBroken."""
        if not self.tally.clean:
            if self._finish is None:
                raise stream_errors.truncated(self.primed)
            self._complete()
        return self._take()

    def _take(self) -> Block:
        out = self._sequence.out
        if not out:
            return EMPTY
        taken = Block(b"".join(out))
        out.clear()
        return taken

    def _passage(self, text: bytes) -> None:
        """Read one event or comment; a comment keeps the client's connection alive as a ping."""
        seen = False
        for event in events(text + b"\n\n"):
            seen = True
            self._event(event.data, event.name)
        if not seen and text.strip(b"\n") and self._started and not self.tally.clean:
            self._sequence.out.append(PING)

    def _event(self, data: bytes, name: str) -> None:
        if self.tally.clean:
            return
        if data.startswith(b"[DONE]"):
            if not self.primed:
                raise stream_errors.garbage(False, "[DONE] before any content")
            self._complete()
            return
        try:
            chunk = read_completion(data)
        except BAD_JSON as error:
            raise stream_errors.garbage(self.primed, "an event is not a chunk") from error
        if chunk.is_error or name == "error":
            raise stream_errors.reported(data, self.primed)
        if isinstance(chunk.usage, dict):
            self.tally.usage = openai_usage(chunk.usage, self.tally.usage)
        if chunk.choices:
            self._choices(chunk, data)

    def _choices(self, chunk: Completion, data: bytes) -> None:
        if not self._started:
            self._start(message_id(chunk.id, data))
        for choice in chunk.choices or ():
            if not choice.index:  # further choices were not asked for and have no words here
                self._choice(choice)

    def _start(self, name: str) -> None:
        self._started = True
        self._ids = ToolIds(name)
        usage = messages_usage(self.tally.usage or Usage())
        message: dict[str, Any] = {
            "id": name,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        data = wire.encode({"type": "message_start", "message": message})
        self._sequence.out.append(encode_event(data, "message_start"))

    def _choice(self, choice: Choice) -> None:
        choice.check(self.primed)
        said = choice.delta or choice.message
        if said is not None:
            for kind, text in said.pieces():
                self.primed = True
                self.tally.saw(text)
                self._sequence.text("thinking" if kind == "thinking" else "text", text)
                if kind == "refusal":
                    self._refused.append(text)
            try:
                for piece in said.calls():
                    self.primed = True
                    self.tally.saw(piece.arguments)
                    self._call(piece)
            except ValueError as error:
                raise stream_errors.garbage(self.primed, "a tool call is broken") from error
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            self.primed = True
            self._finish = choice.finish_reason
            self._matched = choice.stop_sequence or self._matched

    def _call(self, piece: CallPiece) -> None:
        part = self._known(piece)
        if part is None:
            part = self._new(piece)
        elif not part.name:
            part.name = piece.name
        self._newest = part
        self._sequence.add(part, piece.arguments)

    def _known(self, piece: CallPiece) -> Part | None:
        """Return the call that a fragment belongs to; None when it begins one.

        Servers number calls, name them, do both, or neither: then it is the newest one's.
        """
        if piece.index is not None:
            call_id, part = self._by_index.get(piece.index, ("", None))
            is_another = piece.name and piece.id and call_id and piece.id != call_id
            return None if is_another else part
        if piece.id:
            return self._by_id.get(piece.id)
        return None if piece.name else self._newest

    def _new(self, piece: CallPiece) -> Part:
        part = Part("tool_use", self._ids.claim(piece.id), piece.name)
        if piece.index is not None:
            self._by_index[piece.index] = (piece.id, part)
        if piece.id:
            self._by_id[piece.id] = part
        return part

    def _complete(self) -> None:
        """Close what is open and end the message."""
        called = self._newest is not None
        try:
            self._sequence.end(cut_short=self._finish in CUT_SHORT)
        except ValueError as error:
            raise stream_errors.garbage(self.primed, "a tool call is broken") from error
        reason = stop_reason(self._finish, called=called, stop_sequence=self._matched)
        refused = "".join(self._refused)
        delta: dict[str, Any] = {
            "stop_reason": "refusal" if refused else reason,
            "stop_sequence": self._matched if reason == "stop_sequence" else None,
        }
        if refused:
            delta["stop_details"] = refusal_details(refused)
        usage = messages_usage(self.tally.usage or Usage())
        data = wire.encode({"type": "message_delta", "delta": delta, "usage": usage})
        self._sequence.out += (encode_event(data, "message_delta"), _END)
        self.tally.finish = delta["stop_reason"]
        self.tally.clean = True
