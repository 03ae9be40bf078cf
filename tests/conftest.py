"""Every test: blocking the loop fails it, and so does a task or a socket left behind."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from blockbuster import blockbuster_ctx
from hypothesis import settings

settings.register_profile("ci", deadline=None, print_blob=True)
settings.register_profile("long", deadline=None, print_blob=True, max_examples=5000)
settings.load_profile("ci")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that production runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[None]:
    with blockbuster_ctx("gateway") as blocking:
        # Measuring coverage takes a lock that the store's thread may hold for a moment.
        lock = blocking.functions["threading.Lock.acquire"]
        lock.can_block_in("coverage/collector.py", "lock_data")
        yield


def _open_sockets() -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except OSError:  # the listing's own descriptor is gone by now
            continue
    return count


@pytest.fixture
async def leak_check() -> AsyncIterator[None]:
    """Fail when the test leaves a task running or a socket open. On every async test."""
    loop = asyncio.get_running_loop()
    before = _open_sockets()
    yield
    tasks: list[asyncio.Task[object]] = []
    left = 0
    for attempt in range(50):
        tasks = [t for t in asyncio.all_tasks(loop) if t is not asyncio.current_task()]
        left = _open_sockets() - before
        if not tasks and left <= 0:
            return
        if attempt == 10:
            gc.collect()
        await asyncio.sleep(0.02)
    assert not tasks, f"tasks left running: {tasks}"
    assert left <= 0, f"{left} sockets left open"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "leak_check")


RECORDED = {
    "test_the_bytes_of_a_recording_pass_untouched": "byte-faithful in their own dialect",
    "reads_the_same_through_the": "read alike by the other dialect's SDK",
    "test_a_recorded_": "errors raised by the other dialect's SDK",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many recorded exchanges were replayed."""
    passed = [r.nodeid for r in terminalreporter.stats.get("passed", ()) if "[" in r.nodeid]
    counts = {
        text: sum("tests/recordings/" in node and name in node for node in passed)
        for name, text in RECORDED.items()
    }
    if any(counts.values()):
        told = ", ".join(f"{count} {text}" for text, count in counts.items())
        terminalreporter.write_line(f"recorded exchanges: {told}")
