"""Every kind of store behind one face: open it, let time pass, look at what it counted."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from msgspec import Struct

from gateway.core.state import Admitted, Budget, Limit, Rate, Refused, Reserve, Slots, State
from gateway.state.memory import MemoryConfig, MemoryLimiter
from gateway.state.sqlite import SqliteConfig
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime


class Counted(Struct, frozen=True):
    spent: int = 0
    held: int = 0


class Store(Struct, frozen=True):
    """An open store. `age` lets seconds pass for it, `sweep` does what it does every 2 seconds."""

    kind: str
    state: State
    clock: FakeClock
    age: Callable[[float], Awaitable[None]]
    sweep: Callable[[], Awaitable[None]]
    counted: Callable[[str], Awaitable[Counted]]

    def now(self) -> float:
        return self.state.limiter.now()

    async def reserve(
        self, name: str, *limits: Limit, deadline: float = 60.0
    ) -> Admitted | Refused:
        return await self.state.limiter.reserve(Reserve(name, "acme", deadline, limits))

    async def admit(self, name: str, *limits: Limit, deadline: float = 60.0) -> Admitted:
        decision = await self.reserve(name, *limits, deadline=deadline)
        assert isinstance(decision, Admitted), decision
        return decision

    async def refuse(self, name: str, *limits: Limit) -> Refused:
        decision = await self.reserve(name, *limits)
        assert isinstance(decision, Refused), decision
        return decision

    def budget(
        self, limit: int, amount: int = 1, key: str = "acme/usd/2026-11", *, enforce: bool = True
    ) -> Budget:
        """A budget whose window ends in an hour."""
        return Budget(key, amount, limit, self.now() + 3600, enforce)


def rate(
    limit: int,
    amount: int = 1,
    period: float = 60.0,
    burst: int = 0,
    *,
    key: str = "acme/requests",
    enforce: bool = True,
) -> Rate:
    return Rate(key, amount, limit, period, burst or limit, enforce)


def slots(limit: int, amount: int = 1, *, enforce: bool = True) -> Slots:
    return Slots("acme/slots", amount, limit, enforce)


@asynccontextmanager
async def open_store(kind: str, folder: Path) -> AsyncIterator[Store]:
    clock = FakeClock()
    runtime = make_runtime(clock)

    async def age(seconds: float) -> None:
        clock.now += seconds

    if kind == "memory":
        async with MemoryConfig().open(runtime, folder) as state:
            limiter = state.limiter
            assert isinstance(limiter, MemoryLimiter)

            async def swept() -> None:
                limiter.sweep()

            async def found(key: str) -> Counted:
                counter = limiter.accounts.counters.get(key)
                return Counted(counter.spent, counter.held) if counter else Counted()

            yield Store(kind, state, clock, age, swept, found)
        return

    def look(key: str) -> Counted:
        with closing(sqlite3.connect(folder / "limits.db")) as connection:
            row = connection.execute("SELECT spent, held FROM counters WHERE key = ?", (key,))
            return Counted(*(row.fetchone() or ()))

    async with SqliteConfig().open(runtime, folder) as state:

        async def sweep() -> None:
            await clock.advance(2.0)
            await state.limiter.flush()

        async def counted(key: str) -> Counted:
            await state.limiter.flush()
            return await asyncio.to_thread(look, key)

        yield Store(kind, state, clock, age, sweep, counted)
