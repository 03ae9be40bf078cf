"""The real clock, randomness, ids and background tasks: the one file that takes them directly."""

import asyncio
import random
import secrets
import string
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from gateway.core.ports import Runtime, Timer

_DIGITS: Final = 32
_AT_ONCE: Final = 4096
_LETTERS: Final = string.ascii_letters + string.digits
_SECRET: Final = 32
_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks and the running loop's timers."""

    # The functions themselves: a method around them would cost twice as much as they do.
    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    uptime = staticmethod(partial(time.clock_gettime, _BOOT))

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)

    def after(self, seconds: float, callback: Callable[[], None], /) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


class Background:
    """Named tasks that are held until they end, reported when they fail, cancelled at the end."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = failed

    def spawn(self, name: str, work: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(task.get_name(), error)

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Ids:
    """Request ids of 128 random bits, so that none can be guessed or collide."""

    def __init__(self) -> None:
        self._digits = ""
        self._used = 0

    def __call__(self) -> str:
        """Return the next id."""
        start = self._used
        if start >= len(self._digits):
            # The kernel is asked for many at once: a system call each is 3 % of a request.
            self._digits, start = secrets.token_hex(_AT_ONCE), 0
        self._used = start + _DIGITS
        return "req-" + self._digits[start : self._used]


def new_secret() -> str:
    """Return what nobody can guess, for people to copy: 32 letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_SECRET))


@asynccontextmanager
async def open_runtime(failed: Callable[[str, BaseException], None]) -> AsyncIterator[Runtime]:
    """Yield the real Runtime; on exit its background tasks are cancelled and awaited."""
    background = Background(failed)
    try:
        yield Runtime(
            clock=SystemClock(),
            random=random.Random(),  # noqa: S311 - jitter and sampling, never secrets
            new_id=Ids(),
            new_secret=new_secret,
            spawn=background.spawn,
        )
    finally:
        await background.close()
