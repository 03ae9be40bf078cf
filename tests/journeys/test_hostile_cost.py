"""What hostile input costs a gateway that runs as a process of its own: memory, and time."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.fakes.doors import MODELS
from tests.fakes.gateway import write_config
from tests.fakes.hostile import HOSTILE
from tests.fakes.process import Process, serving
from tests.fakes.raw_client import STREAM, connect, get, post
from tests.fakes.upstream import ScriptedUpstream, open_upstream, sse_reply
from tests.journeys.journey import CLIENT_KEY, ENVIRONMENT, PATHS

MIB = 1 << 20
AT_ONCE = 4
LINES = {
    "one event": b"data: " + b"x" * 65_530,
    "one comment": b":" + b"x" * 65_535,
    "lines without a blank one": b"data: x\n" * 8192,
    "comments": (b": " + b"x" * 60 + b"\n\n") * 1024,
}


@contextmanager
def hosting(home: Path, upstream: ScriptedUpstream) -> Iterator[Process]:
    """Run `turnout serve` in front of the upstream."""
    provider = {
        "kind": "openai",
        "base_url": upstream.url,
        "api_key": "env:PROVIDER_KEY_CANARY",
    }
    write_config(
        home,
        providers={"upstream": provider},
        models={"small": {"provider": "upstream", **MODELS["openai"]}},
        settings={"keys": {"tenant": "env:CLIENT_KEY_CANARY"}},
    )
    with serving(home, environment=ENVIRONMENT) as process:
        yield process


def resident(process: Process) -> int:
    return int(psutil.Process(process.running.pid).memory_info().rss)


def highest(process: Process) -> int:
    """Return the most that was resident since `forget_highest`."""
    status = Path(f"/proc/{process.running.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


def forget_highest(process: Process) -> None:
    Path(f"/proc/{process.running.pid}/clear_refs").write_text("5")


async def refused(process: Process, request: bytes, count: int = 1) -> list[int]:
    """Send it so often, some at once; return the statuses."""
    statuses: list[int] = []

    async def one() -> None:
        async with asyncio.timeout(20), connect(process.port) as client:
            statuses.append((await client.ask(request)).status)

    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(one() for _ in range(min(AT_ONCE, count - start))))
    return statuses


@pytest.mark.slow
@pytest.mark.parametrize(
    "count", [4, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
async def test_memory_stays_flat_under_hostile_requests(tmp_path: Path, count: int) -> None:
    """D04 to D08: what was held for a refused request is given back."""
    async with open_upstream([sse_reply([])]) as upstream:
        with hosting(tmp_path, upstream) as process:
            for hostile in HOSTILE.values():
                if not hostile.heavy:
                    await refused(process, hostile.request(PATHS["openai"], CLIENT_KEY), AT_ONCE)
            before = resident(process)
            for name, hostile in HOSTILE.items():
                request = hostile.request(PATHS["openai"], CLIENT_KEY)
                often = max(AT_ONCE, count // 10) if hostile.heavy else count
                statuses = await refused(process, request, often)
                assert set(statuses) <= set(hostile.statuses), name
            assert resident(process) - before < 32 * MIB
        assert not upstream.requests


@pytest.mark.slow
async def test_a_bomb_is_never_held(tmp_path: Path) -> None:
    """D08: not even for a moment is what it unpacks to in memory."""
    async with open_upstream([sse_reply([])]) as upstream:
        with hosting(tmp_path, upstream) as process:
            bombs = [HOSTILE[name] for name in HOSTILE if name.endswith(("bomb", "lies"))]
            requests = [bomb.request(PATHS["openai"], CLIENT_KEY) for bomb in bombs]
            assert len(requests) == 3
            for request in requests:
                await refused(process, request, AT_ONCE)
            forget_highest(process)
            before = highest(process)
            for request in requests:
                assert set(await refused(process, request, 12)) <= {400, 413}
            assert highest(process) - before < 16 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(
    "count", [8, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_memory_stays_flat_when_streams_never_make_sense(tmp_path: Path, count: int) -> None:
    """E09: 16 MiB without an end of an event; it is cut after one, and given back."""
    kinds = [sse_reply([line] * 256) for line in LINES.values()]
    served = 0

    def script(_request: object) -> object:
        nonlocal served
        served += 1
        return kinds[served % len(kinds)]

    async with open_upstream(script) as upstream:  # type: ignore[arg-type]  # any callable does
        with hosting(tmp_path, upstream) as process:
            request = post(STREAM, authorization=f"Bearer {CLIENT_KEY}")
            await refused(process, request, 4 * len(kinds))
            before = resident(process)
            assert set(await refused(process, request, count * len(kinds))) == {502}
            assert resident(process) - before < 32 * MIB


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_every_refusal_takes_less_than_50_ms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measured from the last byte on, best of seven: the answer, and another caller's wait.

    What is 32 MB on the wire and goes wrong late takes 35 to 50 ms to be looked through, beside the
    event loop.
    """
    table = []
    async with open_upstream([sse_reply([])]) as upstream:
        with hosting(tmp_path, upstream) as process:
            for name, hostile in HOSTILE.items():
                request = hostile.request(PATHS["openai"], CLIENT_KEY)
                figures = [await timed(process, request) for _ in range(7)]
                answer, wait = (min(column) for column in zip(*figures, strict=True))
                table.append((name, answer * 1e3, wait * 1e3))
    with capsys.disabled():
        for name, answer, wait in table:
            print(f"{name:28} answered in {answer:7.1f} ms, /livez waits {wait:7.1f} ms")  # noqa: T201 - it is what is measured
    longer = {name for name in HOSTILE if HOSTILE[name].heavy}
    assert [row for row in table if row[1] > 50 and row[0] not in longer] == []
    assert [row for row in table if max(row[1:]) > 500] == []


async def timed(process: Process, request: bytes) -> tuple[float, float]:
    """Return the seconds from last byte to answer, and the longest that another caller waited."""
    waits: list[float] = []

    async def look() -> None:
        async with connect(process.port) as client:
            while True:
                start = time.perf_counter()
                await client.ask(get("/livez"))
                waits.append(time.perf_counter() - start)

    async with asyncio.timeout(20), connect(process.port) as client:
        looking = asyncio.ensure_future(look())
        client.send(request[:-1])
        await client.writer.drain()
        while client.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.001)
        start = time.perf_counter()
        client.send(request[-1:])
        await client.answer()
        took = time.perf_counter() - start
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    return took, max(waits, default=0.0)
