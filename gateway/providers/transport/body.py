"""The body of a response while it comes in: aiohttp's reader without what its own client needs."""

from collections.abc import Callable
from typing import Final, cast

from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

_NOTHING: Final[Callable[[], None]] = [].clear


class Body(StreamReader):
    """Bytes from the parser, taken all at once. Nobody awaits it: its connection is awaited."""

    __slots__ = ()  # so that a StreamReader can become one

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Keep bytes, and ask for a pause when they pile up, in size or in number."""
        buffer = self._buffer
        buffer.append(data)
        size = len(data)
        self._size += size
        self.total_bytes += size
        if self._size > self._high_water or len(buffer) > self._high_water_chunks:
            self._protocol.pause_reading()
        return False

    # Nobody asks where chunks begin and end; what does nothing in C costs a third of a function.
    begin_http_chunk_receiving = end_http_chunk_receiving = _NOTHING

    def take(self) -> bytes | None:
        """Return what has come in since the last time, empty at the end, else None."""
        buffer = self._buffer
        if len(buffer) == 1:
            data = buffer.popleft()
        elif buffer:
            data = b"".join(buffer)
            buffer.clear()
        else:
            return b"" if self._eof else None
        self._size = 0
        self._protocol.resume_reading()
        return data


class NoBody:
    """The body of a response that has none."""

    def is_eof(self) -> bool:
        """Tell whether it has come in whole."""
        return True

    def at_eof(self) -> bool:
        """Tell whether it has been taken whole."""
        return True

    def take(self) -> bytes:
        """Return what has come in: nothing, and the end."""
        return b""


NO_BODY: Final = NoBody()


def body_of(payload: StreamReader) -> Body | NoBody:
    """Return the parser's reader of a body as ours."""
    if payload is EMPTY_PAYLOAD:
        return NO_BODY
    # The C parser makes its reader itself; its chunk ends and timers are 8 % of a chunk's CPU.
    payload.__class__ = Body
    return cast("Body", payload)
