"""One request through the door without a socket: bytes in, an answer out."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from gateway.core import wire
from gateway.edge.connection import Connection
from gateway.edge.server import Edge
from gateway.trial.clock import TrialClock

IDLE: Final = 0.05
"""Seconds of real time in which nothing happened, after which the trial's time moves on."""


class Answer(Struct, frozen=True):
    """What the caller got; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error, of either dialect; empty when it is none."""
        try:
            error = wire.decode(self.body)["error"]
        except (ValueError, KeyError, TypeError):
            return ""
        return str(error.get("code") or error.get("type") or "")


async def ask(
    edge: Edge, clock: TrialClock, path: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    """Post `body` and return the answer. HTTP/1.0 ends it with the connection, streams too."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.0\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
    connection = edge.connection()
    transport = _Memory(connection)
    connection.connection_made(transport)
    connection.data_received(head.encode("latin-1") + body)
    while not transport.ended.is_set():
        try:
            async with asyncio.timeout(IDLE):
                await transport.ended.wait()
        except TimeoutError:
            clock.move_on()
    transport.close()
    return _parsed(bytes(transport.written))


class _Memory(asyncio.Transport):
    """Keeps what is written. `ended` is set when no more will come."""

    def __init__(self, connection: Connection) -> None:
        super().__init__({"peername": ("127.0.0.1", 0)})
        self.written = bytearray()
        self.ended = asyncio.Event()
        self._connection = connection
        self._closed = False

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes of any kind
        self.written += data

    def write_eof(self) -> None:
        self.ended.set()
        self._connection.eof_received()

    def close(self) -> None:
        self.ended.set()
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closed

    def pause_reading(self) -> None:
        """Do nothing: all was read at once."""

    resume_reading = pause_reading

    def get_write_buffer_size(self) -> int:
        return 0


def _parsed(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Answer(
        status=int(status.split()[1]),
        headers={name.lower(): value for name, _, value in pairs},
        body=body,
    )
