"""A client that sends the very bytes a test gives it, and reads answers one by one."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

CHAT = b'{"model":"small","messages":[{"role":"user","content":"hi"}]}'
STREAM = b'{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}'
MESSAGE = b'{"model":"small","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; header names are lower-case, a repeated header fails to parse."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> Any:
        return self.json["error"]["code"]


def post(
    body: bytes = CHAT, path: str = "/v1/chat/completions", /, version: str = "1.1", **headers: str
) -> bytes:
    """A complete POST; underscores in header names become hyphens, an empty value leaves out."""
    given = {
        "host": "localhost",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return f"POST {path} HTTP/{version}\r\n{lines}\r\n".encode("latin-1") + body


def get(path: str, method: str = "GET", **headers: str) -> bytes:
    given = {"host": "localhost", **{n.replace("_", "-"): v for n, v in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


class RawClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, data: bytes, *, without_body: bool = False) -> Answer:
        self.send(data)
        return await self.answer(without_body=without_body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read status and headers."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, name
            headers[name.lower()] = value
        return int(first.split(" ")[1]), headers

    async def answer(self, *, without_body: bool = False) -> Answer:
        status, headers = await self.head()
        if without_body:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"".join([c async for c in self.chunks()]))
        if "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(status, headers, body)

    async def chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.chunk():
            yield chunk

    async def chunk(self) -> bytes:
        """Read one chunk, empty at the end."""
        size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def closed(self) -> bytes:
        """Read until the server has closed, and return what was still there."""
        return await self.reader.read()

    def half_close(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        """Vanish with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def vanish(self) -> None:
        """Vanish with a FIN."""
        self.writer.close()


@asynccontextmanager
async def connect(port: int, *, window: int | None = None) -> AsyncIterator[RawClient]:
    """Connect to loopback. A small `window` makes a reader that soon holds up the writer."""
    sock = socket.socket()
    sock.setblocking(False)
    if window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except BaseException:  # cancelled too
        sock.close()
        raise
    reader, writer = await asyncio.open_connection(sock=sock, limit=window or (1 << 20))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
