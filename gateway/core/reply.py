"""A reply: whole, or a stream of blocks. A block is one or more whole SSE events."""

from collections.abc import Callable
from typing import Final, NewType, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.chat import Dialect

Block = NewType("Block", bytes)
WHOLE: Final = 4
"""Bytes of text that are about one token."""
SHORT: Final = 8
"""Bytes below which a piece of a stream is likely to be one token."""


class Usage(Struct, frozen=True, gc=False):
    """Tokens as the provider counted them. `input` includes cached and cache-write tokens."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    doubtful: bool = False
    """Whether a figure that it was told made no sense; such a figure counts 0 here."""
    cache_write_1h: int = 0
    """Those of `cache_write` that are kept for an hour, which may cost more."""


class Answered(Struct, frozen=True, gc=False):
    """Who answered, and what the caller should know about it."""

    provider: str = ""
    model: str = ""
    """The model's name in our catalogue."""
    request_id: str = ""
    """The provider's own id for this request."""
    dropped: tuple[str, ...] = ()
    """Parameters of the request that this provider never saw."""
    degraded: tuple[str, ...] = ()
    """In what respect this answer is less than asked, such as `estimated-tokens`."""


class Tally(Struct):
    """What has been seen of a stream so far; its provider fills it as blocks pass."""

    usage: Usage | None = None
    finish: str | None = None
    """The finish or stop reason in the stream's own dialect."""
    clean: bool = False
    """True once the terminal event ([DONE], message_stop) has passed, and no error before it."""
    error: str = ""
    """The code of an error event that the provider itself sent, and that the caller got."""
    blocks: int = 0
    size: int = 0
    quarters: int = 0
    """Of output tokens, as far as they were seen."""
    waited: float = 0.0
    """Seconds spent waiting for blocks."""
    longest_gap: float = 0.0
    """Seconds between two blocks, at most."""

    def saw(self, text: str) -> None:
        """Count a piece of the answer: a token for 4 bytes, or for a short piece.

        A single byte counts half of one, so that an answer in letters is at most twice too long.
        """
        size = len(text) if text.isascii() else len(text.encode())
        if size < SHORT:
            size = WHOLE if size > 1 else 2 * size
        self.quarters += size

    @property
    def passed(self) -> int:
        """Return about how many output tokens were seen."""
        return -(-self.quarters // WHOLE)


class Blocks(Protocol):
    """An async iterator of blocks that must be closed. Raises GatewayError when it breaks."""

    def __aiter__(self) -> "Blocks": ...
    async def __anext__(self) -> Block: ...
    async def aclose(self) -> None:
        """Stop at once and let go of the upstream connection. Safe to call twice."""
        ...


class Whole(Struct, frozen=True):
    """A complete JSON answer (status 200), in the caller's dialect."""

    body: bytes
    dialect: Dialect = "openai"
    usage: Usage | None = None
    answered: Answered = Answered()


class Stream(Struct, frozen=True):
    """A primed event stream in the caller's dialect: its first content event is in hand."""

    blocks: Blocks
    tally: Tally
    dialect: Dialect = "openai"
    answered: Answered = Answered()


Reply: TypeAlias = Whole | Stream


def when_over(stream: Stream, callback: Callable[[], None], now: Callable[[], float]) -> Stream:
    """Return the stream, at whose end, whoever ends it, `callback` is called once."""
    if isinstance(stream.blocks, Watched):  # no further layer for every block to climb through
        stream.blocks.then(callback)
        return stream
    watched = Watched(stream.blocks, stream.tally, lambda _: callback(), now)
    return replace(stream, blocks=watched)


class Watched:
    """Blocks that are timed in their tally, and that report exactly once when they have ended.

    `ended(None)` is a clean end, `GeneratorExit` means closed from our side before the end
    (the client left), anything else is what broke it.
    """

    __slots__ = ("_ended", "_inner", "_last", "_now", "_open", "_tally", "_tap", "_then")

    def __init__(
        self,
        inner: Blocks,
        tally: Tally,
        ended: Callable[[BaseException | None], None],
        now: Callable[[], float],
    ) -> None:
        """`now` is a monotonic clock in seconds."""
        self._inner = inner
        self._tally = tally
        self._ended = ended
        self._now = now
        self._open = True
        self._last = now()
        self._then: list[Callable[[], None]] = []
        self._tap: Callable[[Block], None] | None = None

    def then(self, callback: Callable[[], None]) -> None:
        """Call back once, after `ended`; at once when it is over already."""
        if self._open:
            self._then.append(callback)
        else:
            callback()

    def tap(self, take: Callable[[Block], None]) -> None:
        """Show every block to `take`, too, before it goes on."""
        first = self._tap
        if first is None:
            self._tap = take
            return

        def both(block: Block) -> None:
            first(block)
            take(block)

        self._tap = both

    def __aiter__(self) -> "Watched":
        return self

    async def __anext__(self) -> Block:
        begun = self._now()
        try:
            try:
                block = await self._inner.__anext__()
            finally:
                now, tally = self._now(), self._tally
                tally.waited += now - begun
                gap = now - self._last
                if gap > tally.longest_gap:  # noqa: PLR1730 - `max` costs four times as much
                    tally.longest_gap = gap
                self._last = now
        except StopAsyncIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        if self._tap is not None:
            self._tap(block)
        return block

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._end(GeneratorExit())

    def _end(self, error: BaseException | None) -> None:
        if self._open:
            self._open = False
            self._ended(error)
            for callback in self._then:
                callback()
