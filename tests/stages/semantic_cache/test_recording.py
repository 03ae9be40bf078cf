import asyncio
import json

from gateway.core.reply import Block, Usage
from gateway.core.sse import DONE
from gateway.stages.semantic_cache.recording import MOST, Recording
from tests.fakes.clock import FakeClock, settle
from tests.fakes.relay import STREAM, chunk

USAGE = Usage(3, 4, cached=1, reasoning=2)


def recorded(*blocks: Block, endpoint: str = "chat") -> Recording:
    recording = Recording(endpoint)  # type: ignore[arg-type]  # a test's own name
    for block in blocks:
        recording.take(block)
    return recording


async def test_the_whole_of_a_stream_tells_the_usage_that_the_provider_told() -> None:
    body = await recorded(*STREAM).whole(USAGE, FakeClock())
    assert body is not None
    answer = json.loads(body)
    assert answer["choices"][0]["message"]["content"] == "hello"
    assert answer["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}


async def test_without_a_usage_there_is_no_whole_answer() -> None:
    assert await recorded(*STREAM).whole(None, FakeClock()) is None
    assert await recorded(endpoint="messages").whole(USAGE, FakeClock()) is None


async def test_a_stream_that_is_too_long_or_makes_no_sense_is_none() -> None:
    piece = chunk({"content": "x" * 100_000})
    many = recorded(*[piece] * (MOST // 100_000 + 1), DONE)
    assert await many.whole(USAGE, FakeClock()) is None
    assert await recorded(Block(b"data: {\n\n")).whole(USAGE, FakeClock()) is None


async def test_a_long_stream_lets_others_go_on() -> None:
    clock = FakeClock()
    recording = recorded(*[chunk({"content": "x"})] * 200, *STREAM[2:])
    task = asyncio.create_task(recording.whole(USAGE, clock))
    await settle()
    assert not task.done()
    await clock.advance(1)
    body = await task
    assert body is not None
    assert json.loads(body)["choices"][0]["message"]["content"] == "x" * 200
