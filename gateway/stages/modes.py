"""How a provider is asked, and a stream for who wants a whole answer or the other way round."""

from typing import Final, Literal

from gateway.core import stream_errors
from gateway.core.assemble import assembler_for
from gateway.core.chat import ALWAYS_WHOLE, ChatRequest
from gateway.core.errors import StreamCut, UpstreamBroken, UpstreamError
from gateway.core.replay import PIECE, whole_to_blocks
from gateway.core.reply import Block, Stream, Tally, Usage, Whole
from gateway.core.sse import events

Mode = Literal["direct", "buffered", "replay"]

MAX_WHOLE: Final = 64 << 20


def asked_for(request: ChatRequest, mode: Mode, *, can_stream: bool) -> ChatRequest:
    """Return what to ask the provider for: the caller's form of answer, or the mode's."""
    if request.endpoint in ALWAYS_WHOLE:
        return request
    if request.stream and (mode == "replay" or not can_stream):
        return request.with_fields(stream=None, stream_options=None)
    if not request.stream and mode == "buffered" and can_stream:
        usage = {"include_usage": True} if request.dialect == "openai" else None
        return request.with_fields(stream=True, stream_options=usage)
    return request


class Gathered:
    """A stream's blocks on their way to be a whole answer: each is gathered as it passes."""

    def __init__(self, stream: Stream, request: ChatRequest) -> None:
        self._inner = stream.blocks
        self._tally = stream.tally
        self._assembler = assembler_for(request.endpoint)
        self._failure: UpstreamError | None = None

    def __aiter__(self) -> "Gathered":
        return self

    async def __anext__(self) -> Block:
        block = await self._inner.__anext__()
        if self._tally.size > MAX_WHOLE:
            raise bad_upstream("an answer over 64 MiB")
        if self._tally.error:  # what the provider itself reported instead of going on
            self._failure = self._failure or _reported_in(block)
            return block
        try:
            self._assembler.feed(block)
        except ValueError as error:
            raise bad_upstream(str(error)) from error
        return block

    async def aclose(self) -> None:
        await self._inner.aclose()

    def whole(self) -> tuple[bytes, Usage | None]:
        """Return body and usage once all blocks have passed. Raises UpstreamError."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._assembler.finish()
        except ValueError as error:
            raise bad_upstream(str(error)) from error


def told(reply: Whole, request: ChatRequest, *, piece: int = PIECE) -> Stream:
    """Return a whole answer as a stream, up to `piece` characters of text in an event.

    Raises UpstreamBroken for one that makes no sense.
    """
    # Its usage is final from the start, whoever leaves early.
    tally = Tally(usage=reply.usage, finish="replayed")
    usage = request.wants_usage
    blocks = whole_to_blocks(reply.body, request.endpoint, include_usage=usage, piece=piece)
    try:
        return Stream(_Told(list(blocks), tally), tally, reply.dialect, reply.answered)
    except ValueError as error:
        raise bad_upstream(str(error)) from error


def uncut(error: StreamCut) -> UpstreamError:
    """Return what a cut means while nothing has left for the caller: what the provider said."""
    said = stream_errors.reported(error.body, primed=False) if error.body else None
    return said or UpstreamBroken(error.public, code=error.code, detail=error.detail)


def bad_upstream(detail: str) -> UpstreamBroken:
    """Return the error for an answer that cannot be what it should be."""
    return UpstreamBroken(
        "The provider's answer makes no sense.", code="bad_upstream", detail=detail
    )


class _Told:
    """The blocks of an answer that is already there. The last one is its terminal event."""

    def __init__(self, blocks: list[Block], tally: Tally) -> None:
        self._blocks = blocks
        self._tally = tally
        self._next = 0

    def __aiter__(self) -> "_Told":
        return self

    async def __anext__(self) -> Block:
        if self._next >= len(self._blocks):
            raise StopAsyncIteration
        block = self._blocks[self._next]
        self._next += 1
        self._tally.clean = self._next == len(self._blocks)
        self._tally.blocks += 1
        self._tally.size += len(block)
        return block

    async def aclose(self) -> None:
        self._next = len(self._blocks)


def _reported_in(block: Block) -> UpstreamError:
    """Return the error of a block that has one. Nothing has left, so it may still be a status."""
    errors = (stream_errors.reported_in(event.data) for event in events(block))
    return next(filter(None, errors), None) or bad_upstream("an error event in the stream")
