"""Server-sent events without I/O: framing bytes into blocks, and reading the events of a block."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from gateway.core.reply import Block

MAX_EVENT: Final = 1 << 20
EMPTY: Final = Block(b"")
_LF: Final = 10
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
        if self._after_cr or data.find(b"\r") >= 0:  # `in` costs three times as much
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
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def is_single(block: bytes) -> bool:
    """Tell whether a block is one event, as blocks usually are."""
    last = len(block) - 2
    # One byte is found faster than two, and most events are one line.
    if block.find(b"\n") == last and last >= 0:
        return block[-1] == _LF
    return block.find(b"\n\n") == last


def split_events(block: bytes) -> list[Block]:
    """Return the events of a block one by one, comments too; joined they are the block."""
    if is_single(block):
        return [Block(block)]
    parts = block.split(b"\n\n")
    last = parts.pop()
    whole = [Block(part + b"\n\n") for part in parts]
    return [*whole, Block(last)] if last else whole


def events(block: bytes) -> Iterator[Event]:
    """Read the events of a block; comments and events without data lines are passed over."""
    for raw in split_events(block):
        event = read_event(raw)
        if event is not None:
            yield event


def read_event(raw: bytes) -> Event | None:
    """Read one event; None when it has no data line, as a comment has none."""
    first = raw.find(b"\n")
    if raw.startswith(b"data: ") and first == len(raw) - 2:
        return Event("", raw[6:-2], raw)
    if raw.startswith(b"event: ") and raw.startswith(b"data: ", first + 1):
        second = raw.find(b"\n", first + 1)
        if second == len(raw) - 2:
            return Event(raw[7:first].decode("utf-8", "replace"), raw[first + 7 : second], raw)
    return _read_lines(raw)


def _read_lines(raw: bytes) -> Event | None:
    name, lines = "", []
    for line in raw.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(name, b"\n".join(lines), raw) if lines else None


def encode_event(data: bytes, name: str = "") -> Block:
    """Return one event; `data` is one line, as compact JSON is."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return Block(head + b"data: " + data + b"\n\n")


def comment(text: str) -> Block:
    """Return a comment line, which every SSE reader skips."""
    return Block(b": " + text.encode() + b"\n\n")


DONE: Final = encode_event(b"[DONE]")
