"""One target, one round: start, check, load, and what it cost."""

import asyncio
import time
from statistics import median, quantiles
from typing import Final

from msgspec import Struct

from gateway.core import wire
from loadtest.bench.client import BadAnswer, Line, request_bytes, stream_load, whole_load
from loadtest.bench.process import Process
from loadtest.bench.spent import CONNECTIONS, spent
from loadtest.bench.target import KEY
from loadtest.bench.upstream import ANSWER, MODEL, token, upstream

SLICE: Final = 50
"""Requests through the target and directly, in turn, so that drift hits both."""


class Effort(Struct, frozen=True):
    """How much to do."""

    rounds: int
    seconds: float
    connections: int = CONNECTIONS
    latencies: int = 1_000
    streams: int = 100
    chunks: int = 200
    gap: int = 5
    open_streams: int = 500


FULL: Final = Effort(rounds=5, seconds=3.0)
QUICK: Final = Effort(
    rounds=1, seconds=0.3, connections=8, latencies=50, streams=5, chunks=20, open_streams=10
)


class Measured(Struct):
    """The figures of one target in one round. Microseconds, milliseconds, seconds, megabytes."""

    request_us: float
    chunk_us: float
    requests_s: float
    added_p50_ms: float
    added_p99_ms: float
    cold_s: float
    idle_mb: float
    streams_mb: float


def prompt(text: str, *, stream: bool = False) -> bytes:
    """Return a request body of about half a kilobyte."""
    body = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are terse. " + "Answer in one sentence. " * 12},
            {"role": "user", "content": text},
        ],
        "temperature": 0.2,
        "max_tokens": 200,
    }
    return wire.encode({**body, "stream": True} if stream else body)


async def measure(process: Process, source: int, effort: Effort) -> Measured:
    """Return what this process costs, whose upstream listens on the port `source` meanwhile.

    Raises BadAnswer when it answers wrongly.
    """
    port = process.port
    whole = request_bytes(port, prompt("What is a turnout?"), KEY)
    shape = f"chunks={effort.chunks} gap={effort.gap}"
    streaming = request_bytes(port, prompt(shape, stream=True), KEY)
    async with upstream(source):
        cold = await asyncio.to_thread(wait_for_answer, process, whole)
        idle = process.memory()
        await asyncio.to_thread(check, port, whole)
        added_p50, added_p99 = await asyncio.to_thread(
            added_latency, port, whole, source, effort.latencies
        )
        request_us, load = await spent(
            process, whole_load(port, whole, effort.connections, effort.seconds)
        )
        chunk_us, _ = await spent(
            process, stream_load(port, streaming, effort.streams, effort.seconds)
        )
        streams_mb = await memory_of_streams(process, effort)
    return Measured(
        request_us=request_us,
        chunk_us=chunk_us,
        requests_s=load.done / load.seconds,
        added_p50_ms=added_p50,
        added_p99_ms=added_p99,
        cold_s=cold,
        idle_mb=idle,
        streams_mb=streams_mb,
    )


def wait_for_answer(process: Process, request: bytes) -> float:
    """Return the seconds from the process's start to its first good answer."""
    while time.perf_counter() - process.born < 20:  # noqa: PLR2004 - seconds, far beyond any start
        if not process.alive():
            break
        try:
            line = Line(process.port, timeout=5)
        except ConnectionRefusedError:
            time.sleep(0.002)
            continue
        line.ask(request)
        line.close()
        return time.perf_counter() - process.born
    raise BadAnswer(f"the process did not start: {process.last_words()}")


def check(port: int, whole: bytes) -> None:
    """Raise BadAnswer unless an answer and a stream arrive word by word."""
    line = Line(port)
    _, answer = line.ask(whole)
    text = wire.decode(answer.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"]
    streaming = request_bytes(port, prompt("chunks=30 gap=0", stream=True), KEY)
    stream = line.stream(streaming)
    line.close()
    events = [part.split(b"\n\n")[0] for part in stream.split(b"data: ")[1:]]
    words = ""
    for event in events[:-1]:
        chunk = wire.decode(event)
        words += "".join(choice["delta"].get("content", "") for choice in chunk["choices"])
    expected = "".join(token(number) for number in range(30))
    if text != ANSWER or words != expected or events[-1] != b"[DONE]":
        raise BadAnswer("the answer differs from what the upstream sent")


def added_latency(port: int, request: bytes, source: int, count: int) -> tuple[float, float]:
    """Return the milliseconds that the target adds at concurrency 1: p50 and p99."""
    lines = {True: Line(port), False: Line(source)}
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(max(1, count // SLICE)):
        for through, line in lines.items():
            took[through] += [line.ask(request)[0] for _ in range(SLICE)]
    for line in lines.values():
        line.close()
    p99 = quantiles(took[True], n=100)[98] - quantiles(took[False], n=100)[98]
    return (median(took[True]) - median(took[False])) * 1e3, p99 * 1e3


async def memory_of_streams(process: Process, effort: Effort) -> float:
    """Return the most memory seen while many streams were open."""
    body = prompt("chunks=40 gap=50", stream=True)
    request = request_bytes(process.port, body, KEY)
    load = asyncio.create_task(stream_load(process.port, request, effort.open_streams, 0))
    most = 0.0
    while not load.done():
        most = max(most, process.memory())
        await asyncio.sleep(0.05)
    await load
    return most
