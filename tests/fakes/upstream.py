r"""A raw HTTP/1.1 server on loopback that says exactly what a test tells it to say.

    async with open_upstream([json_reply({}, status=500), sse_reply([b"data: 1\n\n"])]) as up:
        ...  # up.url is a base URL; up.requests is what arrived; await up.until_closed()

A script is a list of replies, used in order over all connections, the last one repeated, or a
function from a request to its reply. A reply's parts are sent one write each; besides bytes a part
may be a pause in seconds, an `asyncio.Event` to wait for, or CUT, RESET or STALL.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, cast


class Mark(Enum):
    """What a server may do instead of sending bytes."""

    CUT = "close the connection in good order, however unfinished the answer is"
    RESET = "reset the connection"
    STALL = "send nothing more until the client goes away"


CUT: Final = Mark.CUT
RESET: Final = Mark.RESET
STALL: Final = Mark.STALL

Part = bytes | float | asyncio.Event | Mark
NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Received:
    """One request as it arrived; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    head: bytes = b""
    """The request line and headers, byte for byte."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to send. An `early` one comes before the request's body is read, which STALL does."""

    parts: Sequence[Part]
    early: bool = False


Script = Sequence[Answer] | Callable[[Received], Answer]


def json_reply(payload: Any, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    """Answer with a whole JSON body; bytes are sent as they are."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    given = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    return Answer([_head(status, given) + body])


def sse_reply(
    events: Sequence[Part], status: int = 200, headers: Mapping[str, str] = NO_HEADERS
) -> Answer:
    """Answer with a chunked event stream, one chunk for each bytes part."""
    given = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers}
    parts: list[Part] = [_head(status, given)]
    parts += [b"%x\r\n%b\r\n" % (len(e), e) if isinstance(e, bytes) else e for e in events]
    return Answer([*parts, b"0\r\n\r\n"])


def raw_reply(parts: Sequence[Part], *, early: bool = False) -> Answer:
    """Answer with exactly these bytes."""
    return Answer(list(parts), early=early)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Reason\r\n{lines}\r\n".encode("latin-1")


@dataclass
class ScriptedUpstream:
    """The server's side of the story."""

    script: Script
    url: str = ""
    """Base URL with the path /v1."""
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    """How many were accepted."""
    closed: int = 0
    """How many the client closed or reset."""
    drops: list[Callable[[], None]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _served: int = 0

    def next_answer(self, request: Received, *, early: bool = False) -> Answer | None:
        """Return the answer to this request, or None when it is not an early one."""
        if callable(self.script):
            return None if early else self.script(request)
        answer = self.script[min(self._served, len(self.script) - 1)]
        if early and not answer.early:
            return None
        self._served += 1
        return answer

    async def until_closed(self, count: int = 1) -> None:
        """Wait until the client has closed that many connections."""
        await self._until(lambda: self.closed >= count)

    async def until_received(self, count: int = 1) -> None:
        """Wait until that many requests have arrived."""
        await self._until(lambda: len(self.requests) >= count)

    async def until_connected(self, count: int = 1) -> None:
        """Wait until that many connections have been accepted."""
        await self._until(lambda: self.connections >= count)

    def drop_connections(self) -> None:
        """Close all that are open, as a server does with idle ones."""
        for drop in self.drops:
            drop()

    def note(self) -> None:
        """Wake whoever waits for a change."""
        self._changed.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not reached():
                self._changed.clear()
                await self._changed.wait()


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: ScriptedUpstream, open_connections: "set[_Connection]") -> None:
        self.upstream = upstream
        self.everyone = open_connections
        self.received = bytearray()
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.ours = False
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self.everyone.add(self)
        self.upstream.drops.append(self.close)
        self.upstream.connections += 1
        self.upstream.note()
        self.task = asyncio.get_running_loop().create_task(self.serve(), name="upstream connection")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.arrived.set()

    def eof_received(self) -> None:
        self.client_gone()

    def connection_lost(self, exc: Exception | None) -> None:
        self.client_gone()

    def client_gone(self) -> None:
        if not self.gone.is_set() and not self.ours:
            self.upstream.closed += 1
        self.gone.set()
        self.arrived.set()
        self.writable.set()
        self.upstream.note()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    async def serve(self) -> None:
        try:
            while await self.serve_one():
                pass
        finally:
            self.close()

    def close(self) -> None:
        self.ours = True
        assert self.transport is not None
        self.transport.close()

    async def serve_one(self) -> bool:
        """Serve one request; return whether the connection can take another."""
        assert self.transport is not None
        head = await self.take_until(b"\r\n\r\n")
        if head is None:
            return False
        request = _parse_head(head)
        answer = self.upstream.next_answer(request, early=True)
        if answer is not None:
            self.transport.pause_reading()
        else:
            body = await self.take_body(request.headers)
            if body is None:
                return False
            request = Received(request.method, request.path, request.headers, body, head)
            answer = self.upstream.next_answer(request)
        self.upstream.requests.append(request)
        self.upstream.note()
        assert answer is not None
        if not await self.send(answer):
            return False
        return not _closes(answer) and not answer.early

    async def send(self, answer: Answer) -> bool:
        assert self.transport is not None
        for part in answer.parts:
            if self.gone.is_set():
                return False
            match part:
                case bytes():
                    self.transport.write(part)
                    await self.writable.wait()
                case Mark.STALL:
                    self.transport.resume_reading()
                    await self.gone.wait()
                    return False
                case Mark.CUT:
                    return False
                case Mark.RESET:
                    self.reset()
                    return False
                case asyncio.Event():
                    await self.first_of(part, self.gone)
                case _:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.gone.wait(), part)
        return True

    def reset(self) -> None:
        assert self.transport is not None
        self.ours = True
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def first_of(self, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def take_until(self, end: bytes) -> bytes | None:
        while end not in self.received:
            if not await self.more():
                return None
        size = self.received.index(end) + len(end)
        return self.take(size)

    async def take_body(self, headers: Mapping[str, str]) -> bytes | None:
        size = int(headers.get("content-length", "0"))
        while len(self.received) < size:
            if not await self.more():
                return None
        return self.take(size)

    def take(self, size: int) -> bytes:
        taken = bytes(self.received[:size])
        del self.received[:size]
        return taken

    async def more(self) -> bool:
        if self.gone.is_set():
            return False
        self.arrived.clear()
        await self.arrived.wait()
        return True


def _parse_head(head: bytes) -> Received:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, path, headers, b"", head)


def _closes(answer: Answer) -> bool:
    first = next((part for part in answer.parts if isinstance(part, bytes)), b"")
    head = first.split(b"\r\n\r\n")[0].lower()
    return b"\r\nconnection: close" in head


@asynccontextmanager
async def open_upstream(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[ScriptedUpstream]:
    """Serve the script until the block ends; then every connection is closed."""
    upstream = ScriptedUpstream(script)
    connections: set[_Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(upstream, connections), host, 0, ssl=tls
    )
    upstream.port = server.sockets[0].getsockname()[1]
    upstream.url = f"http{'s' if tls else ''}://{host}:{upstream.port}/v1"
    try:
        yield upstream
    finally:
        server.close()
        tasks = [c.task for c in connections if c.task is not None]
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        failed = [e for e in done if isinstance(e, Exception)]
        assert not failed, failed
