"""Watching a stream: every block is timed, and its end is told exactly once."""

import asyncio
from itertools import count

import pytest

from gateway.core.errors import StreamCut
from gateway.core.reply import Block, Blocks, Tally, Watched


class Scripted:
    """Blocks from a list; an exception in it is raised. Knows how often it was closed."""

    def __init__(self, *parts: bytes | BaseException) -> None:
        self.parts = list(parts)
        self.closed = 0

    def __aiter__(self) -> "Scripted":
        return self

    async def __anext__(self) -> Block:
        if not self.parts:
            raise StopAsyncIteration
        part = self.parts.pop(0)
        if isinstance(part, BaseException):
            raise part
        return Block(part)

    async def aclose(self) -> None:
        self.closed += 1


class BadlyClosed(Scripted):
    async def aclose(self) -> None:
        raise OSError("cannot close")


def watched(inner: Blocks) -> tuple[Watched, list[BaseException | None]]:
    ends: list[BaseException | None] = []
    return Watched(inner, Tally(), ends.append, count().__next__), ends


async def test_a_clean_end_is_told_once_with_nothing() -> None:
    blocks, ends = watched(Scripted(b"a", b"b"))
    assert [block async for block in blocks] == [b"a", b"b"]
    with pytest.raises(StopAsyncIteration):
        await anext(blocks)
    await blocks.aclose()
    assert ends == [None]


async def test_what_broke_the_stream_is_told_once_and_raised() -> None:
    error = StreamCut("The provider's answer broke off.")
    blocks, ends = watched(Scripted(b"a", error))
    assert await anext(blocks) == b"a"
    with pytest.raises(StreamCut):
        await anext(blocks)
    await blocks.aclose()
    await blocks.aclose()
    assert ends == [error]


async def test_closing_before_the_end_is_told_as_ours_and_reaches_the_source() -> None:
    inner = Scripted(b"a", b"b")
    blocks, ends = watched(inner)
    await anext(blocks)
    await blocks.aclose()
    await blocks.aclose()
    assert len(ends) == 1
    assert isinstance(ends[0], GeneratorExit)
    assert inner.closed == 2


async def test_a_cancelled_reader_is_told_as_cancelled() -> None:
    blocks, ends = watched(Scripted(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await anext(blocks)
    await blocks.aclose()
    assert [type(end) for end in ends] == [asyncio.CancelledError]


async def test_the_end_is_told_even_when_closing_fails() -> None:
    blocks, ends = watched(BadlyClosed(b"a"))
    with pytest.raises(OSError, match="cannot close"):
        await blocks.aclose()
    assert len(ends) == 1


async def test_waiting_and_gaps_are_timed() -> None:
    times = iter([10.0, 11.0, 14.0, 20.0, 20.5, 21.0, 21.0])
    tally = Tally()
    blocks = Watched(Scripted(b"a", b"b"), tally, lambda _: None, times.__next__)
    assert [block async for block in blocks] == [b"a", b"b"]
    assert tally.waited == 3.0 + 0.5 + 0.0
    assert tally.longest_gap == 6.5


@pytest.mark.parametrize(
    ("pieces", "tokens"),
    [
        (["What passed of an answer is counted by its text. "] * 4, 49),
        (["What ", "passed ", "of ", "an ", "answer ", "is ", "counted"], 7),
        (list("What passed of an answer is counted"), 18),
        (["w" * 400], 100),
        (["这", "是", "一", "个"], 4),
        (["1", ",", "2", ","], 2),
        (["", ""], 0),
    ],
    ids=["sentences", "words", "letters", "one piece", "Chinese", "single bytes", "nothing"],
)
def test_what_passed_is_told_by_its_text_however_it_was_cut(pieces: list[str], tokens: int) -> None:
    tally = Tally()
    for piece in pieces:
        tally.saw(piece)
    assert tally.passed == tokens
