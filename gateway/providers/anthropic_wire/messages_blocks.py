"""Anthropic's content blocks as events, strictly one after the other, whatever order they come in.

The open block streams. What belongs to another block waits until the open one can close: text and
thinking can at any time, a tool call once its arguments are a complete object.
"""

from typing import Final, Literal

from gateway.core import wire
from gateway.providers.anthropic_wire.messages_reply import arguments_of

Kind = Literal["text", "thinking", "tool_use"]

_START: Final = (
    b"event: content_block_start\n"
    b'data: {"type":"content_block_start","index":%d,"content_block":%s}\n\n'
)
_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_DELTA: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
)
_SAY: Final = {
    "text": _DELTA + b'{"type":"text_delta","text":%s}}\n\n',
    "thinking": _DELTA + b'{"type":"thinking_delta","thinking":%s}}\n\n',
    "tool_use": _DELTA + b'{"type":"input_json_delta","partial_json":%s}}\n\n',
}


class Part:
    """One content block in the making. `said` holds a tool call's arguments, or what waits."""

    __slots__ = ("checked", "closed", "id", "kind", "name", "said", "sent")

    def __init__(self, kind: Kind, use_id: str = "", name: str = "") -> None:
        self.kind = kind
        self.id = use_id
        self.name = name
        self.said: list[str] = []
        self.sent = False
        self.closed = False
        self.checked = 0

    def start(self) -> bytes:
        """Return the block as it is before its first delta."""
        block: dict[str, object] = {"type": self.kind}
        if self.kind == "tool_use":
            block.update(id=self.id, name=self.name, input={})
        elif self.kind == "thinking":
            block.update(thinking="", signature="")
        else:
            block.update(text="")
        return wire.encode(block)

    def may_begin(self) -> bool:
        """Tell whether the block's start can be written."""
        return self.kind != "tool_use" or bool(self.name)

    def may_close(self) -> bool:
        """Tell whether nothing can be missing. A call's arguments are read again only if new."""
        if self.kind != "tool_use":
            return True
        if self.checked == len(self.said) or not self.said[-1].rstrip().endswith("}"):
            return False
        self.checked = len(self.said)
        try:
            arguments_of("".join(self.said))
        except ValueError:
            return False
        return True


class Sequence:
    """Writes blocks to `out`, which the owner empties."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self._index = -1
        self._open: Part | None = None
        self._waiting: list[Part] = []

    def text(self, kind: Literal["text", "thinking"], text: str) -> None:
        """Add text to the newest block if it is of this kind, else to a new one."""
        newest = self._waiting[-1] if self._waiting else self._open
        self.add(newest if newest and newest.kind == kind else Part(kind), text)

    def add(self, part: Part, text: str) -> None:
        """Add to a block. After a complete call is closed, repetitions of it are passed over."""
        if part.closed:
            return
        if text and part.kind == "tool_use":
            part.said.append(text)
        if part is self._open:
            self._say(part, text)
            return
        if part.kind != "tool_use":
            part.said.append(text)
        if part not in self._waiting:
            self._waiting.append(part)
        self._advance()

    def end(self, *, cut_short: bool) -> None:
        """Close all. Raises ValueError for a broken call, unless the answer was `cut_short`."""
        while True:
            if self._open is not None:
                self._close(self._open, cut_short)
            if not self._waiting:
                return
            self._begin(self._waiting.pop(0))

    def _advance(self) -> None:
        while self._waiting and self._waiting[0].may_begin():
            if self._open is not None:
                if not self._open.may_close():
                    return
                self._close(self._open, cut_short=False)
            self._begin(self._waiting.pop(0))

    def _begin(self, part: Part) -> None:
        if not part.may_begin():
            raise ValueError("a call without a name")
        self._index += 1
        self._open = part
        self.out.append(_START % (self._index, part.start()))
        waited = "".join(part.said)
        if part.kind != "tool_use":
            part.said.clear()
        self._say(part, waited)

    def _say(self, part: Part, text: str) -> None:
        if part.kind == "tool_use" and not part.sent:
            text = "".join(part.said).lstrip()
            if "null".startswith(text):  # also "": what stands for no arguments waits for the end
                return
            part.sent = True
        if text:
            self.out.append(_SAY[part.kind] % (self._index, wire.encode(text)))

    def _close(self, part: Part, cut_short: bool) -> None:
        if part.kind == "tool_use":
            if not cut_short:
                arguments_of("".join(part.said))
            if not part.sent:
                self.out.append(_SAY["tool_use"] % (self._index, b'"{}"'))
        self.out.append(_STOP % self._index)
        part.closed = True
        part.said.clear()
        self._open = None
