"""What a request held is let go with it, however it ends: nothing is left to the collector.

Buffers of broken streams, or a caller's megabytes, would else stay until it comes by.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import CoroutineType, FrameType
from typing import Any

import pytest

from tests.fakes.raw_client import chunked
from tests.fakes.upstream import (
    CUT,
    RESET,
    STALL,
    Answer,
    json_reply,
    raw_reply,
    sse_reply,
)
from tests.journeys.journey import Journey, open_journey

OFTEN = 3
RELAY = {"stage": "relay"}
FAILOVER = {"pipeline": [{"stage": "failover", "targets": [{"model": "the-model"}]}, RELAY]}
CACHED = {"pipeline": [{"stage": "semantic_cache"}, RELAY]}
LIMITED = {
    "pipeline": [
        {"stage": "rate_limit", "limits": [{"requests": 1, "per": ["tenant"], "each": "month"}]},
        RELAY,
    ]
}
FIRST = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
WHOLE = json_reply({"choices": [{"index": 0, "message": {"content": "hi"}}]})
SILENT = raw_reply([STALL])
HALF = sse_reply([FIRST, STALL])
Act = Callable[[Journey], Awaitable[object]]


async def stream(journey: Journey) -> None:
    await journey.ask()


async def whole(journey: Journey) -> None:
    await journey.ask(stream=False)


async def leave_a_stream(journey: Journey) -> None:
    async with journey.client() as client:
        client.send(journey.request())
        await client.head()
        client.vanish()
        await journey.until_quiet()


async def leave_before_the_answer(journey: Journey) -> None:
    async with journey.client() as client:
        client.send(journey.request(stream=False))
        await journey.upstream.until_received(len(journey.upstream.requests) + 1)
        client.reset()
        await journey.until_quiet()


async def send_half(journey: Journey) -> None:
    async with journey.client() as client:
        client.send(journey.request()[:-9])
        await client.closed()


async def send_nonsense(journey: Journey) -> None:
    async with journey.client() as client:
        await client.ask(journey.request().replace(b"content-length: ", b"content-length: x"))


async def send_no_json(journey: Journey) -> None:
    async with journey.client() as client:
        await client.ask(journey.request().replace(b'{"model"', b'{!model"'))


async def send_no_chunks(journey: Journey) -> None:
    async with journey.client() as client:
        head, _, _ = journey.request().partition(b"content-length")
        client.send(head + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"{}")[:-5] + b"zz\r\n")
        await client.closed()


async def three_at_once(journey: Journey) -> None:
    await asyncio.gather(*(journey.ask(stream=False) for _ in range(3)))


CASES: Mapping[str, tuple[Answer, Act, Mapping[str, Any]]] = {
    "a whole answer": (WHOLE, whole, {}),
    "a stream": (sse_reply([FIRST, b"data: [DONE]\n\n"]), stream, {}),
    "a stream that never makes sense": (sse_reply([b"data: x\n" * 8192] * 20), stream, {}),
    "a stream cut before its first token": (sse_reply([CUT]), stream, {}),
    "a stream cut in the middle": (sse_reply([FIRST, CUT]), stream, {}),
    "a stream reset in the middle": (sse_reply([FIRST, RESET]), stream, {}),
    "a stream that turns to garbage": (sse_reply([FIRST, b"data: {no\n\n"]), stream, {}),
    "a stream that falls silent": (HALF, stream, {"transport": {"idle": 0.05}}),
    "a stream past its deadline": (HALF, stream, {"limits": {"request": 0.4}}),
    "a gathered stream that is cut": (
        sse_reply([FIRST, CUT]),
        whole,
        {"pipeline": [{"stage": "relay", "mode": "buffered"}]},
    ),
    "a provider that refuses": (json_reply({"error": {"message": "no"}}, 429), stream, {}),
    "a provider that hangs up": (raw_reply([RESET]), whole, {}),
    "a provider that says nothing": (SILENT, stream, {"transport": {"first_byte": 0.05}}),
    "no connection in time": (
        SILENT,
        three_at_once,
        {"transport": {"total_connections": 1}, "limits": {"request": 0.4}},
    ),
    "failover: all refuse": (json_reply({"error": {"message": "no"}}, 500), stream, FAILOVER),
    "failover: a refusal that is final": (
        json_reply({"error": {"message": "no"}}, 400),
        whole,
        FAILOVER,
    ),
    "failover: a stream cut before its first token": (sse_reply([CUT]), stream, FAILOVER),
    "failover: a stream cut in the middle": (sse_reply([FIRST, CUT]), stream, FAILOVER),
    "a cached answer": (WHOLE, whole, CACHED),
    "a failure that is not cached": (json_reply({"error": {"message": "no"}}, 500), whole, CACHED),
    "equal requests that fail at once": (
        json_reply({"error": {"message": "no"}}, 500),
        three_at_once,
        CACHED,
    ),
    "a limit without room": (WHOLE, whole, LIMITED),
    "a client that leaves a stream": (HALF, leave_a_stream, {}),
    "a client that leaves before the answer": (SILENT, leave_before_the_answer, {}),
    "half a body": (WHOLE, send_half, {"limits": {"body_grace": 0.05}}),
    "a head that cannot be read": (WHOLE, send_nonsense, {}),
    "a body that is no JSON": (WHOLE, send_no_json, {}),
    "a body that cannot be read": (WHOLE, send_no_chunks, {}),
}


def left_over() -> Counter[str]:
    """Collect, and return what of the gateway's was only waiting for that."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(name for each in gc.garbage if (name := _ours(each)))
    gc.garbage.clear()
    return found


def _ours(thing: object) -> str:
    kind = type(thing)
    if kind is FrameType:
        code = thing.f_code  # type: ignore[attr-defined]  # a frame has it
        return str(code.co_qualname) if "/gateway/" in code.co_filename else ""
    if kind is CoroutineType:
        return str(thing.__qualname__)  # type: ignore[attr-defined]  # a coroutine has it
    return kind.__qualname__ if kind.__module__.startswith("gateway.") else ""


@pytest.mark.parametrize("case", CASES)
async def test_nothing_of_a_request_is_left_to_the_collector(case: str) -> None:
    answer, act, options = CASES[case]
    async with open_journey([answer], **options) as journey:
        await act(journey)
        await journey.until_quiet()
        gc.collect()
        gc.disable()
        try:
            for _ in range(OFTEN):
                await act(journey)
            await journey.until_quiet()
            assert left_over() == {}
        finally:
            gc.enable()
