"""A Runtime of fakes: a clock that stands still, seeded chance, counted ids."""

import asyncio
from collections.abc import Coroutine
from itertools import count
from random import Random
from typing import Any

from gateway.core.ports import Clock, Runtime
from gateway.runtime import SystemClock
from tests.fakes.clock import FakeClock


def make_runtime(clock: Clock | None = None) -> Runtime:
    ids = count(1)

    def spawn(name: str, work: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(work, name=name)

    return Runtime(
        clock=clock or FakeClock(),
        random=Random(0),
        new_id=lambda: f"req-{next(ids):04}",
        new_secret=lambda: f"{next(ids):032}",
        spawn=spawn,
    )


def real_time_runtime() -> Runtime:
    """For tests over real sockets."""
    return make_runtime(SystemClock())
