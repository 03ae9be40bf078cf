"""A stored answer told again, in the shape that was asked for and under a name of its own."""

from typing import Final

from msgspec.structs import replace

from gateway.core.answers import Answer
from gateway.core.exchange import Exchange
from gateway.core.notes import End, StreamEnded
from gateway.core.ports import Clock
from gateway.core.reply import Answered, Block, Blocks, Reply, Stream, Watched, Whole
from gateway.stages.modes import told

_NAMES: Final = {"chat": b"chatcmpl-", "completions": b"cmpl-", "messages": b"msg_"}
_WORD: Final = 16
"""Characters of an event of a paced stream: about four tokens."""
_TOKENS: Final = 4


def replay(
    answer: Answer, exchange: Exchange, clock: Clock, tokens_per_second: int | None
) -> Reply:
    """Return the answer as a reply. A stream of it comes at once unless it has a pace."""
    request = exchange.request
    answered = Answered(answer.provider, answer.model)
    whole = Whole(_named(answer, exchange, clock), request.dialect, answer.usage, answered)
    if not request.stream:
        return whole
    if tokens_per_second is None:
        return _noted(told(whole, request), exchange, clock)
    stream = told(whole, request, piece=_WORD)
    blocks = _Paced(stream.blocks, clock, _TOKENS / tokens_per_second)
    return _noted(replace(stream, blocks=blocks), exchange, clock)


def _noted(stream: Stream, exchange: Exchange, clock: Clock) -> Stream:
    """Return the stream with its end noted, as that of any other."""
    tally = stream.tally

    def ended(_: BaseException | None) -> None:
        reason: End = "done" if tally.clean else "client_gone"
        exchange.notes.add(
            StreamEnded(reason, tally.blocks, tally.size, tally.longest_gap, tally.waited)
        )

    return replace(stream, blocks=Watched(stream.blocks, tally, ended, clock.monotonic))


def _named(answer: Answer, exchange: Exchange, clock: Clock) -> bytes:
    """Return the body with an id and a date of its own in front."""
    name = _NAMES[answer.endpoint] + exchange.id.removeprefix("req-").encode()
    if answer.endpoint == "messages":
        return b'{"id":"%b",%b' % (name, answer.body[1:])
    return b'{"id":"%b","created":%d,%b' % (name, int(clock.wall()), answer.body[1:])


class _Paced:
    """Blocks with a pause before each."""

    def __init__(self, blocks: Blocks, clock: Clock, pause: float) -> None:
        self._blocks = blocks
        self._clock = clock
        self._pause = pause

    def __aiter__(self) -> "_Paced":
        return self

    async def __anext__(self) -> Block:
        block = await self._blocks.__anext__()
        await self._clock.sleep(self._pause)
        return block

    async def aclose(self) -> None:
        await self._blocks.aclose()
