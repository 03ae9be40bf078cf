"""Reading an upstream's answer: the checks that all providers share, and primed streams."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol, TypeVar

import msgspec

from gateway.core import stream_errors
from gateway.core.chat import Dialect
from gateway.core.errors import (
    StreamCut,
    UpstreamBroken,
    UpstreamError,
)
from gateway.core.meter import StreamCodec
from gateway.core.ports import Runtime
from gateway.core.reply import Answered, Block, Stream
from gateway.core.sse import EMPTY, EventTooLong, Framer, is_single, split_events
from gateway.providers.transport.client import Response
from gateway.providers.transport.upstream_errors import (
    MAX_ERROR_BODY,
    broken,
    upstream_error,
)

MAX_PREAMBLE: Final = 1 << 20
LINGER: Final = 0.5
"""Seconds that an upstream has to end its answer after its terminal event."""
OK: Final = frozenset(range(200, 300))
"""The statuses of an answer."""


async def refuse(response: Response, dialect: Dialect, runtime: Runtime) -> NoReturn:
    """Read the error of an upstream that did not answer 2xx, and raise what it means."""
    try:
        body = await response.read(MAX_ERROR_BODY)
    except UpstreamError:
        body = b""  # the status alone says enough
    finally:
        response.close()
    now = runtime.clock.wall()
    raise upstream_error(response.status, response.headers, body, dialect, now)


def require_json(response: Response) -> None:
    """Raise UpstreamBroken, with the response closed, unless a 2xx answer may be JSON."""
    kind = _content_type(response)
    if kind and "json" not in kind:
        response.close()
        raise broken("bad_upstream", f"content-type {kind[:80]} instead of JSON")


class _Answer(Protocol):
    """A whole answer as far as it is read."""

    error: Any


A = TypeVar("A", bound=_Answer)
B = TypeVar("B", bound=bytes)


def read_answer(body: bytes, decode: Callable[[bytes], A]) -> A:
    """Return a whole answer's JSON. Raises UpstreamError when it is none, or is an error."""
    try:
        answer = decode(body)
        if not body.isascii():
            body.decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise stream_errors.garbage(
            False, "the answer is not JSON of the expected shape"
        ) from error
    if answer.error is not None:
        raise stream_errors.reported(body, primed=False)
    return answer


class Secrets(Protocol):
    """Who knows our secrets: `mask` finds them as they are, `redact` also spelt with escapes."""

    def mask(self, text: B, /) -> B: ...
    def redact(self, body: bytes, /) -> bytes: ...


async def open_stream(
    response: Response,
    codec: StreamCodec,
    *,
    dialect: Dialect,
    answered: Answered,
    secrets: Secrets,
) -> Stream:
    """Read a 2xx answer until `codec` is primed; the blocks then read on.

    Raises what the codec raises, UpstreamBroken (code `bad_upstream`) for an answer that is no
    event stream or says nothing within 1 MiB, UpstreamTimeout. The response is closed then.
    `secrets` takes ours out of what the provider says.
    """
    await _require_events(response)
    blocks = UpstreamBlocks(response, codec, secrets)
    try:
        await blocks.prime()
    except BaseException:
        response.close()
        raise
    return Stream(blocks=blocks, tally=codec.tally, dialect=dialect, answered=answered)


async def _require_events(response: Response) -> None:
    kind = _content_type(response)
    if not kind or kind == "text/event-stream":
        return
    body = b""
    try:
        if "json" in kind:
            body = await response.read(MAX_ERROR_BODY)
    finally:
        response.close()
    error = stream_errors.reported_in(body)
    raise error or broken("bad_upstream", f"content-type {kind[:80]} instead of an event stream")


class UpstreamBlocks:
    """The rest of a primed stream. Closing it closes the upstream's connection at once."""

    def __init__(
        self,
        response: Response,
        codec: StreamCodec,
        secrets: Secrets,
    ) -> None:
        self._mask = secrets.mask
        self._redact = secrets.redact
        self._response = response
        self._codec = codec
        self._framer = Framer()
        self._ready = EMPTY
        self._failure: UpstreamError | None = None
        self._ended = False
        self._preamble = 0

    def __aiter__(self) -> "UpstreamBlocks":
        return self

    async def prime(self) -> None:
        """Read until the first content event is in hand; what was read is the first block."""
        parts: list[Block] = []
        async for block in self:
            parts.append(block)
            if self._codec.primed:
                break
        else:
            raise stream_errors.truncated(primed=False)
        self._ready = Block(b"".join(parts))
        self._codec.tally.blocks = self._codec.tally.size = 0  # it is counted when it is taken

    async def __anext__(self) -> Block:
        block, self._ready = self._ready, EMPTY
        tally = self._codec.tally
        while not block:
            if self._failure is not None:
                raise self._failure.again()
            if self._ended:
                raise StopAsyncIteration
            if tally.clean:
                await self._linger()
                continue
            try:
                data = await self._rest() if tally.error else self._response.take()
                if data is None:
                    await self._response.more()  # not through `chunk`: one frame less a chunk
                    continue
            except UpstreamError as error:
                self._lose(error)
            else:
                block = self._take(data)
        tally.blocks += 1
        tally.size += len(block)
        return block

    async def aclose(self) -> None:
        self._ended = True
        self._failure = None
        self._ready = EMPTY
        self._response.close()

    def _take(self, data: bytes) -> Block:
        """Return the caller's blocks of the next bytes; remember a failure that follows them."""
        if not data:
            self._ended = True
            return self._last(self._pass(self._framer.finish()))
        try:
            block = self._pass(self._framer.feed(data))
        except EventTooLong as error:
            self._fail(stream_errors.garbage(self._codec.primed, str(error)))
            return EMPTY
        if not self._codec.primed:
            self._preamble += len(data)
            if self._preamble > MAX_PREAMBLE:
                self._fail(broken("bad_upstream", "1 MiB without any content"))
        return block

    def _lose(self, error: UpstreamError) -> None:
        """Note that the upstream broke off."""
        broke = isinstance(error, UpstreamBroken) and self._codec.primed
        self._fail(_cut(error) if broke else error)

    def _pass(self, block: Block) -> Block:
        """Feed whole events one by one, so that those before a bad one still arrive."""
        if not block:
            return EMPTY
        block = self._mask(block)
        parts: list[Block] = []
        try:
            for event in [block] if is_single(block) else split_events(block):
                parts.append(self._codec.feed(event))  # noqa: PERF401 - those before a bad one stay
        except UpstreamError as error:
            self._fail(error)
        passed = parts[0] if len(parts) == 1 else Block(b"".join(parts))
        return Block(self._redact(passed)) if self._codec.tally.error else passed

    def _last(self, block: Block) -> Block:
        if self._failure is None:
            try:
                return Block(block + self._codec.finish())
            except UpstreamError as error:
                self._fail(error)
        return block

    def _fail(self, error: UpstreamError) -> None:
        self._ended = True
        if isinstance(error, StreamCut) and error.body:
            error.body = self._redact(error.body)
        if not self._codec.tally.error:  # else the caller has been told, by the provider itself
            self._failure = error.again()
        self._response.close()

    async def _rest(self) -> bytes:
        """Return what follows an error event, such as usage; nobody waits long for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                return await self._response.chunk()
        self._response.close()
        return b""

    async def _linger(self) -> None:
        """After the terminal event nothing matters but whether the connection can be reused."""
        self._ended = True
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._response.chunk()
        self._response.close()


def _content_type(response: Response) -> str:
    return response.header("content-type").partition(";")[0].strip().lower()


def _cut(error: UpstreamError) -> StreamCut:
    return StreamCut(
        "The provider's answer ended too early.", code="upstream_truncated", detail=str(error)
    )
