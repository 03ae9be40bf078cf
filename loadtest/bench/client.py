"""The load: raw HTTP over asyncio protocols, so that it costs little beside what it measures."""

import asyncio
import socket
import time
from typing import Final, cast

from msgspec import Struct

PATIENCE: Final = 30.0
"""Seconds that one answer may take."""
_CARRY: Final = len(b"data: {") - 1


class BadAnswer(Exception):
    """The target answered something else than 200, or broke off."""


def request_bytes(port: int, body: bytes, key: str) -> bytes:
    """Return a whole POST."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nUser-Agent: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def wanted(data: bytes) -> int:
    """Return how long the whole answer is, 0 while its head is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data[:end].lower().find(b"content-length:")
    if at < 0:
        raise BadAnswer(data[:200])
    return end + 4 + int(data[at + 15 : end].split(b"\r\n", 1)[0])


class _Connection(asyncio.Protocol):
    """One kept connection on which `ask` is called again and again."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.finish(BadAnswer(f"the connection closed: {exc}"))

    def finish(self, error: BadAnswer | None) -> None:
        """Wake whoever waits for the answer."""
        done, self._done = self._done, None
        if done is not None and not done.done():
            if error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def ask(self, request: bytes) -> "asyncio.Future[None]":
        """Send a request; the future is done with its answer's last byte."""
        self._done = done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return done


class WholeConnection(_Connection):
    """Reads answers with a content-length."""

    def __init__(self) -> None:
        super().__init__()
        self._held = b""
        self._wanted = 0

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._wanted:
            self._wanted = wanted(self._held)
        if self._wanted and len(self._held) >= self._wanted:
            good = self._held.startswith(b"HTTP/1.1 200")
            bad = None if good else BadAnswer(self._held[:400])
            self._held, self._wanted = b"", 0
            self.finish(bad)


class StreamConnection(_Connection):
    """Reads event streams and counts their events without parsing them."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks = 0
        self._tail = b""
        self._fresh = True

    def data_received(self, data: bytes) -> None:
        if self._fresh and not data.startswith(b"HTTP/1.1 200"):
            self.finish(BadAnswer(data[:400]))
            return
        self._fresh = False
        text = self._tail + data
        self.chunks += text.count(b"data: {")
        self._tail = text[-_CARRY:]
        if text.endswith(b"0\r\n\r\n"):
            self._fresh, self._tail = True, b""
            self.finish(None)


class Load(Struct):
    """What was done in how many seconds."""

    done: int
    seconds: float


async def whole_load(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Ask on each connection again as soon as the answer is there."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    done = 0

    async def one() -> None:
        nonlocal done
        _, connection = await loop.create_connection(WholeConnection, "127.0.0.1", port)
        while loop.time() < end:
            await connection.ask(request)
            done += 1
        connection.transport.close()

    start = loop.time()
    async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(one())
    return Load(done, loop.time() - start)


async def stream_load(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Keep so many streams open, started evenly over a quarter second, and count their chunks."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    chunks = 0

    async def one(delay: float) -> None:
        nonlocal chunks
        await asyncio.sleep(delay)
        _, connection = await loop.create_connection(StreamConnection, "127.0.0.1", port)
        while True:
            await connection.ask(request)
            if loop.time() >= end:
                break
        chunks += connection.chunks
        connection.transport.close()

    start = loop.time()
    async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(one(0.25 * number / connections))
    return Load(chunks, loop.time() - start)


class Line:
    """A blocking connection, for latencies without an event loop's own."""

    def __init__(self, port: int, timeout: float = PATIENCE) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[float, bytes]:
        """Return the seconds that the answer took, and the answer."""
        start = time.perf_counter()
        self._socket.sendall(request)
        data = self._receive()
        while not (length := wanted(data)) or len(data) < length:
            data += self._receive()
        took = time.perf_counter() - start
        if not data.startswith(b"HTTP/1.1 200"):
            raise BadAnswer(data[:400])
        return took, data

    def stream(self, request: bytes) -> bytes:
        """Return a whole event stream with its head."""
        self._socket.sendall(request)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += self._receive()
        return data

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 16)
        if not data:
            raise BadAnswer("the connection closed")
        return data
