"""Work that nobody waits for: little at once, little waiting, and nobody takes all the places."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

AT_ONCE: Final = 4
WAITING: Final = 64
EACH: Final = 16
"""Pieces of work of one tenant that wait."""

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
Start: TypeAlias = Callable[[Coroutine[Any, Any, None]], object]


class Backlog:
    """Starts work in the order it came; what there is no room for is not done."""

    def __init__(self) -> None:
        self.running = 0
        self._waiting: deque[tuple[str, Work, Start]] = deque()
        self._each: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, tenant: str, work: Work, start: Start) -> bool:
        """Have it done, by a task that `start` begins; tell whether there is room for it."""
        if self.running < AT_ONCE:
            self._begin(work, start)
            return True
        if len(self._waiting) >= WAITING or self._each[tenant] >= EACH:
            return False
        self._each[tenant] += 1
        self._waiting.append((tenant, work, start))
        return True

    def _begin(self, work: Work, start: Start) -> None:
        self.running += 1
        start(self._do(work))

    async def _do(self, work: Work) -> None:
        try:
            await work()
        except asyncio.CancelledError:  # the process is going away
            self._waiting.clear()
            self._each.clear()
            raise
        finally:
            self.running -= 1
            if self._waiting:
                tenant, following, start = self._waiting.popleft()
                self._each[tenant] -= 1
                self._each += Counter()  # which drops who has none
                self._begin(following, start)
