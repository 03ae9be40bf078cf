"""A provider that costs next to nothing.

It answers chat completions with prepared bytes. A stream's shape travels in the prompt, as
`chunks=200 gap=5` (milliseconds); every gateway passes a prompt on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from gateway.core import wire

MODEL: Final = "bench-model"
ANSWER: Final = (
    "A turnout guides a train from one track onto another. Its moving part is a pair of tapered "
    "rails, and where the two tracks cross sits a frog; a lever, a motor or a distant signal box "
    "throws it, and a lock holds it while the train passes over."
)
_SYLLABLES: Final = ("tra", "ck", " si", "gnal", " le", "ver", " fr", "og", " po", "int", " ra")
_HEADERS: Final = (
    b"date: Sat, 01 Nov 2025 10:00:00 GMT\r\nserver: upstream\r\n"
    b"openai-processing-ms: 12\r\nopenai-version: 2020-10-01\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\nx-request-id: req_0123456789abcdef0123456789ab\r\n"
)
_COMMON: Final = {
    "id": "chatcmpl-Turnout0Bench0Answer0Number1",
    "created": 1_761_990_000,
    "model": MODEL,
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
}
_USAGE: Final = {
    "prompt_tokens": 41,
    "completion_tokens": 57,
    "total_tokens": 98,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}


def token(number: int) -> str:
    """Return the text of one streamed chunk; neighbours differ."""
    return _SYLLABLES[number % len(_SYLLABLES)] + _SYLLABLES[number * 7 % len(_SYLLABLES)]


def _whole() -> bytes:
    message = {"role": "assistant", "content": ANSWER, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = wire.encode(
        {**_COMMON, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + _HEADERS
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n" % len(event) + event + b"\r\n"


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _chunk(wire.encode({**_COMMON, "object": "chat.completion.chunk", "choices": [choice]}))


_WHOLE = _whole()
_OPENING = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    + _HEADERS
    + b"transfer-encoding: chunked\r\n\r\n"
    + _event({"role": "assistant", "content": ""})
)
_PIECES = [_event({"content": token(number)}) for number in range(77)]
_STOP = _event({}, "stop")
_USED = _chunk(
    wire.encode({**_COMMON, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE})
)
_END = _chunk(b"[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; one answer after another."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None
        self._sent = self._count = 0
        self._gap = self._due = 0.0
        self._end = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._held = b""
        if b'"stream":true' in body.replace(b'"stream": true', b'"stream":true'):
            self._open_stream(body)
        else:
            self.transport.write(_WHOLE)

    def _open_stream(self, body: bytes) -> None:
        self._count = _number(body, b"chunks=", 20)
        self._gap = _number(body, b"gap=", 0) / 1000
        self._end = _STOP + (_USED if b'"include_usage"' in body else b"") + _END
        self._sent = 0
        self._due = self._loop.time()
        self.transport.write(_OPENING)
        self._next()

    def _next(self) -> None:
        if self._sent == self._count:
            self.transport.write(self._end)
            return
        self.transport.write(_PIECES[self._sent % len(_PIECES)])
        self._sent += 1
        self._due += self._gap
        self._timer = self._loop.call_at(self._due, self._next)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _number(body: bytes, name: bytes, default: int) -> int:
    _, found, rest = body.partition(name)
    digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
    return int(digits) if found and digits else default


@asynccontextmanager
async def upstream(port: int) -> AsyncIterator[None]:
    """Answer on this port, in this loop, until the end of the block."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(loop), "127.0.0.1", port, backlog=1024)
    try:
        yield
    finally:
        server.close()
