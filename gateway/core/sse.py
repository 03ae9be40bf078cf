"""Server-sent events without I/O: framing bytes into blocks, and reading the events of a block."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from gateway.core.reply import Block

MAX_EVENT: Final = 1 << 20
EMPTY: Final = Block(b"")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event grew past MAX_EVENT without ending."""


class Event(Struct, frozen=True):
    """One event. `data` joins its data lines; `raw` is the whole event with its blank line."""

    name: str
    data: bytes
    raw: bytes


class Framer:
    """Turns any chunking of a stream into blocks of whole events, LF only.

    The usual chunk, which ends with a blank line and holds no CR, passes through as it is.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> Block:
        """Return all events completed by `data`, possibly none. Raises EventTooLong."""
        if not self._started:
            data = self._strip_bom(data)
        if b"\r" in data or self._after_cr:
            data = self._line_feeds(data)
        if not self._held and data.endswith(b"\n\n"):
            return Block(data)
        searched = max(0, len(self._held) - 1)
        self._held += data
        end = self._held.rfind(b"\n\n", searched)
        block = EMPTY
        if end >= 0:
            block = Block(bytes(self._held[: end + 2]))
            del self._held[: end + 2]
        if len(self._held) > MAX_EVENT:
            raise EventTooLong("an event is longer than 1 MiB")
        return block

    def finish(self) -> Block:
        """Return what an upstream that ended without a blank line left behind, completed."""
        held = bytes(self._held).rstrip(b"\n")
        self._held.clear()
        return Block(held + b"\n\n") if held else EMPTY

    def _strip_bom(self, data: bytes) -> bytes:
        data = bytes(self._held) + data
        self._held.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._held += data
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _line_feeds(self, data: bytes) -> bytes:
        if self._after_cr:
            data = data.removeprefix(b"\n") if data else data
            self._after_cr = not data and self._after_cr
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def events(block: bytes) -> Iterator[Event]:
    """Read the events of a block; comments and events without data lines are passed over."""
    if block.startswith(b"data: ") and block.find(b"\n") == len(block) - 2:
        yield Event("", block[6:-2], block)
        return
    for text in block.split(b"\n\n"):
        event = _read(text) if text.strip(b"\n") else None
        if event is not None:
            yield event


def _read(text: bytes) -> Event | None:
    name, lines = "", []
    for line in text.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(name, b"\n".join(lines), text + b"\n\n") if lines else None


def encode_event(data: bytes, name: str = "") -> Block:
    """Return one event; `data` is one line, as compact JSON is."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return Block(head + b"data: " + data + b"\n\n")


def comment(text: str) -> Block:
    """Return a comment line, which every SSE reader skips."""
    return Block(b": " + text.encode() + b"\n\n")


DONE: Final = encode_event(b"[DONE]")
