"""Answers on their way to a store: bounded in bytes, written in order and in groups, behind."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from gateway.core.answers import Answer
from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.state.base import SWEEP

LINGER: Final = 0.05
"""Seconds for which answers are gathered."""
PATIENCE: Final = 2.0
"""Seconds to wait for other processes; no request waits for what is stored."""
WAITING: Final = 16 << 20
"""Bytes that wait at most; what would exceed them is not taken."""
GROUP: Final = 1 << 20
"""Bytes that are written together."""
MOST: Final = 50
"""Steps of one sweep; also those, beyond what its answers take, after which it ends a purge."""
NUMBER: Final = 100
"""Answers that are written together."""

Write = Callable[[Sequence[Answer]], Awaitable[None]]


class Queue:
    """Hands groups of answers to `write`; what it fails to write is lost, and told to `lost`."""

    def __init__(self, write: Write, lost: Callable[[Sequence[Answer]], None]) -> None:
        """`write` raises StateUnavailable when it fails."""
        self._write = write
        self._lost = lost
        self._waiting: deque[Answer] = deque()
        self._size = 0
        self._filled = asyncio.Event()
        self._turn = asyncio.Lock()

    def put(self, answer: Answer) -> bool:
        """Have it written soon; tell whether there is room for it."""
        if self._size + answer.size > WAITING:
            return False
        self._size += answer.size
        self._waiting.append(answer)
        self._filled.set()
        return True

    async def flush(self) -> None:
        """Write what waits now. Raises StateUnavailable when some of it is lost."""
        async with self._turn:
            failed: StateUnavailable | None = None
            left = len(self._waiting)
            while left > 0:
                group = self._next(left)
                left -= len(group)
                try:
                    await self._write(group)
                except StateUnavailable as error:
                    failed = error
                    self._lost(group)
                finally:
                    self._size -= sum(answer.size for answer in group)
            if failed is not None:
                raise failed

    async def keep_written(self, clock: Clock) -> None:
        """Write what comes until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await clock.sleep(LINGER)
            with suppress(StateUnavailable):
                await self.flush()

    def _next(self, most: int) -> list[Answer]:
        group = [self._waiting.popleft()]
        size = group[0].size
        while len(group) < min(most, NUMBER) and size + self._waiting[0].size <= GROUP:
            group.append(self._waiting.popleft())
            size += group[-1].size
        return group


async def keep_swept(sweep: Callable[[], Awaitable[bool]], clock: Clock) -> None:
    """Sweep a store until cancelled, each time until nothing is left to do or MOST times."""
    while True:
        await clock.sleep(SWEEP)
        with suppress(StateUnavailable):
            for _ in range(MOST):
                if not await sweep():
                    break
