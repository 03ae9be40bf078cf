"""Every test: blocking the loop fails it, and so does a task or a socket left behind."""

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop
from blockbuster import blockbuster_ctx
from hypothesis import settings

settings.register_profile("ci", deadline=None, print_blob=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return policy


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[None]:
    with blockbuster_ctx("gateway"):
        yield


def _open_sockets() -> set[str]:
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            link = str(entry.readlink())
        except OSError:  # the listing's own descriptor is gone by now
            continue
        if link.startswith("socket:"):
            links.add(link)
    return links


@pytest.fixture
async def leak_check() -> AsyncIterator[None]:
    """Fail when the test leaves a task running or a socket open. On every async test."""
    loop = asyncio.get_running_loop()
    before = _open_sockets()
    yield
    tasks: list[asyncio.Task[object]] = []
    left: set[str] = set()
    for _ in range(100):
        tasks = [t for t in asyncio.all_tasks(loop) if t is not asyncio.current_task()]
        left = _open_sockets() - before
        if not tasks and not left:
            return
        gc.collect()
        await asyncio.sleep(0.02)
    assert not tasks, f"tasks left running: {tasks}"
    assert not left, f"sockets left open: {left}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "leak_check")
