"""What a load costs a process whose peers never sleep.

On loopback a write pays for waking the peer that it is for, which on another machine it would not.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final

from loadtest.bench.client import Load, whole_load
from loadtest.bench.process import Process

CONNECTIONS: Final = 64


async def spent(process: Process, load: Awaitable[Load]) -> tuple[float, Load]:
    """Return the microseconds of CPU for each thing done, and what was done.

    The load, and the upstream if there is one, must run in this loop.
    """
    with _awake():
        before = process.cpu()
        done = await load
        return (process.cpu() - before) / done.done * 1e6, done


async def request_cost(process: Process, request: bytes, seconds: float) -> float:
    """Return the microseconds of CPU that a request costs once the process is warm."""
    await whole_load(process.port, request, CONNECTIONS, seconds / 3)
    cost, _ = await spent(process, whole_load(process.port, request, CONNECTIONS, seconds))
    return cost


@contextmanager
def _awake() -> Iterator[None]:
    """Let this loop look for work again and again instead of sleeping until there is some."""
    turning = asyncio.create_task(_turn())
    try:
        yield
    finally:
        turning.cancel()


async def _turn() -> None:
    while True:  # noqa: ASYNC110 - turning without an end is what is wanted
        await asyncio.sleep(0)
