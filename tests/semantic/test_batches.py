"""One thread for all: bounded, fair, and safe to leave."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from gateway.core.embedding import Embedded, EmbedderUnavailable
from gateway.semantic.batches import MOST_CALLS, MOST_TEXTS, Engine, ThreadedEmbedder
from tests.fakes.stores import until


class Gate:
    """An engine that works only while its gate is open, and keeps what it was given."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.batches: list[list[str]] = []
        self.broken = False

    def __call__(self, texts: Sequence[str]) -> Sequence[Embedded]:
        self.batches.append(list(texts))
        self.open.wait(10)
        if self.broken:
            raise ValueError("the graph is broken")
        return [Embedded(text.encode(), len(text)) for text in texts]


async def _warm(gate: Gate) -> ThreadedEmbedder:
    embedder = ThreadedEmbedder("test", 4, lambda: gate)
    await embedder.warm()
    return embedder


async def _busy(embedder: ThreadedEmbedder, gate: Gate) -> "asyncio.Task[Sequence[Embedded]]":
    """Return once the thread is stuck with a first text."""
    gate.open.clear()
    first = asyncio.create_task(embedder.embed(["first"]))
    await until(lambda: gate.batches == [["first"]])
    return first


async def test_an_idle_embedder_starts_at_once_and_a_busy_one_gathers() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    first = await _busy(embedder, gate)
    waiting = [asyncio.create_task(embedder.embed([str(n)])) for n in range(3)]
    await asyncio.sleep(0)
    gate.open.set()
    assert [(await each)[0].vector for each in waiting] == [b"0", b"1", b"2"]
    assert gate.batches == [["first"], ["0", "1", "2"]]
    await first
    await embedder.aclose()


async def test_a_long_list_lets_a_single_question_go_first() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    first = await _busy(embedder, gate)
    many = asyncio.create_task(embedder.embed([f"row {n}" for n in range(100)]))
    await asyncio.sleep(0)
    question = asyncio.create_task(embedder.embed(["question"]))
    await asyncio.sleep(0)
    gate.open.set()
    await question
    assert gate.batches[1][:3] == ["row 0", "question", "row 1"]
    assert [e.vector for e in await many] == [f"row {n}".encode() for n in range(100)]
    await first
    await embedder.aclose()


async def test_a_batch_holds_few_long_texts() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    await embedder.embed(["x" * 5_000] * 3)
    assert [len(batch) for batch in gate.batches] == [1, 1, 1]
    await embedder.aclose()


async def test_who_leaves_is_not_embedded_for() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    first = await _busy(embedder, gate)
    gone = asyncio.create_task(embedder.embed(["gone", "gone too"]))
    stays = asyncio.create_task(embedder.embed(["stays"]))
    await asyncio.sleep(0)
    gone.cancel()
    first.cancel()  # in the thread already: its result is dropped
    await asyncio.sleep(0)
    gate.open.set()
    await stays
    assert gate.batches == [["first"], ["stays"]]
    assert (await embedder.embed(["next"]))[0].vector == b"next"
    await embedder.aclose()


async def test_too_many_waiting_calls_are_refused_at_once() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    first = await _busy(embedder, gate)
    waiting = [asyncio.create_task(embedder.embed(["a"])) for _ in range(MOST_CALLS)]
    await asyncio.sleep(0)
    with pytest.raises(EmbedderUnavailable, match="too many texts wait"):
        await embedder.embed(["one more"])
    gate.open.set()
    await asyncio.gather(first, *waiting)
    await embedder.aclose()


async def test_lists_are_refused_long_before_single_texts_are() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    first = await _busy(embedder, gate)
    many = asyncio.create_task(embedder.embed(["a"] * MOST_TEXTS))
    await asyncio.sleep(0)
    with pytest.raises(EmbedderUnavailable, match="too many texts wait"):
        await embedder.embed(["b", "c"])
    single = asyncio.create_task(embedder.embed(["question"]))
    await asyncio.sleep(0)
    gate.open.set()
    assert (await single)[0].vector == b"question"
    await asyncio.gather(first, many)
    await embedder.aclose()


async def test_a_failure_reaches_all_of_its_batch_and_nobody_else() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    gate.broken = True
    with pytest.raises(EmbedderUnavailable, match="ValueError: the graph is broken"):
        await embedder.embed(["a", "b"])
    gate.broken = False
    assert len(await embedder.embed(["a", "b"])) == 2
    await embedder.aclose()


async def test_a_failed_load_says_why_and_may_be_tried_again() -> None:
    results: list[Engine | None] = [Gate(), None]

    def load() -> Engine:
        engine = results.pop()
        if engine is None:
            raise OSError("no such file")
        return engine

    embedder = ThreadedEmbedder("test", 4, load)
    with pytest.raises(EmbedderUnavailable, match="OSError: no such file"):
        await embedder.warm()
    with pytest.raises(EmbedderUnavailable, match="OSError: no such file"):
        await embedder.embed(["a"])
    await embedder.warm()
    assert len(await embedder.embed(["a"])) == 1
    await embedder.aclose()


async def test_who_gives_up_waiting_for_the_load_does_not_stop_it() -> None:
    gate, go = Gate(), threading.Event()

    def load() -> Engine:
        go.wait(10)
        return gate

    embedder = ThreadedEmbedder("test", 4, load)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await embedder.warm()
    go.set()
    await embedder.warm()
    assert len(await embedder.embed(["a"])) == 1
    await embedder.aclose()


async def test_closing_answers_everybody_and_ends_the_thread() -> None:
    gate = Gate()
    embedder = await _warm(gate)
    first = await _busy(embedder, gate)
    waiting = asyncio.create_task(embedder.embed(["waiting"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(embedder.aclose())
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await waiting
    gate.open.set()
    await closing
    assert (await first)[0].vector == b"first"
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await embedder.embed(["late"])
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await embedder.warm()


async def test_nothing_to_embed_is_nothing_to_do() -> None:
    embedder = await _warm(Gate())
    assert await embedder.embed([]) == ()
    await embedder.aclose()
