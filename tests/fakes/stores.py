"""Every kind of store behind one face: open it, let time pass, look at what it counted."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace
from redis import Redis

from gateway.core.ports import Clock
from gateway.core.secret import Secret
from gateway.core.state import Admitted, Budget, Limit, Rate, Refused, Reserve, Slots, State
from gateway.state.answers_file import AnswersFile
from gateway.state.answers_memory import MemoryAnswers
from gateway.state.memory import MemoryConfig, MemoryLimiter
from gateway.state.redis.answers import RedisAnswers
from gateway.state.redis.limiter import RedisLimiter
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime


async def _nothing() -> None:
    """Do nothing."""


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
    look: Callable[[], Awaitable[None]] = _nothing
    """Have it look for changes of answers, which it does twice a second."""
    sweep_answers: Callable[[], Awaitable[None]] = _nothing

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


ANSWERS = 1 << 20
"""Bytes of answers that a store keeps."""
AWAY = "redis does not answer"


@asynccontextmanager
async def open_store(kind: str, folder: Path, url: str = "") -> AsyncIterator[Store]:
    """Open a store; `url` is the Redis server's. Stores of one folder share what they keep."""
    opened = {"memory": _open_memory, "sqlite": _open_sqlite}.get(kind)
    async with opened(folder) if opened else open_redis(folder, url) as store:
        yield store


@asynccontextmanager
async def _open_memory(folder: Path) -> AsyncIterator[Store]:
    clock = FakeClock()
    async with MemoryConfig(answers=ANSWERS).open(make_runtime(clock), folder) as state:
        limiter, answers = state.limiter, cast("MemoryAnswers", state.answers)
        assert isinstance(limiter, MemoryLimiter)

        async def age(seconds: float) -> None:
            clock.now += seconds

        async def sweep() -> None:
            limiter.sweep()

        async def counted(key: str) -> Counted:
            counter = limiter.accounts.counters.get(key)
            return Counted(counter.spent, counter.held) if counter else Counted()

        async def sweep_answers() -> None:
            answers.sweep()

        yield Store("memory", state, clock, age, sweep, counted, sweep_answers=sweep_answers)


@asynccontextmanager
async def _open_sqlite(folder: Path) -> AsyncIterator[Store]:
    clock = FakeClock()
    async with SqliteConfig(answers=ANSWERS).open(make_runtime(clock), folder) as state:
        answers = cast("AnswersFile", state.answers)

        def look(key: str) -> Counted:
            with closing(sqlite3.connect(folder / "limits.db")) as connection:
                row = connection.execute("SELECT spent, held FROM counters WHERE key = ?", (key,))
                return Counted(*(row.fetchone() or ()))

        async def age(seconds: float) -> None:
            clock.now += seconds

        async def sweep() -> None:
            await clock.advance(2.0)
            await state.limiter.flush()

        async def counted(key: str) -> Counted:
            await state.limiter.flush()
            return await asyncio.to_thread(look, key)

        async def sweep_answers() -> None:
            await answers.sweep()

        yield Store("sqlite", state, clock, age, sweep, counted, answers._look, sweep_answers)


@asynccontextmanager
async def open_redis(
    folder: Path, url: str, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Store]:
    """Open a store in Redis; it looks for Redis by itself only when `clock` is a real one."""
    # A busy machine's Redis may take longer than 50 ms; a test that wants it slow says so.
    defaults = {"prefix": f"{folder.name}:", "timeout": 1.0, "answers": ANSWERS}
    fake, config = FakeClock(), RedisConfig(url=Secret(url, "test"), **{**defaults, **options})
    runtime = replace(make_runtime(clock or fake), new_id=lambda: uuid4().hex)
    async with config.open(runtime, folder) as state:
        limiter, answers = state.limiter, cast("RedisAnswers", state.answers)
        assert isinstance(limiter, RedisLimiter)

        async def age(seconds: float) -> None:
            await limiter.flush()
            await asyncio.to_thread(_age, url, config.prefix, seconds)

        async def sweep() -> None:
            limiter.sweep()
            await limiter.flush()

        def look(key: str) -> Counted:
            with Redis.from_url(url) as client:
                found = client.hmget(f"{config.prefix}limit:{key}", ["spent", "held"])
                return Counted(*(int(value or 0) for value in cast("list[bytes | None]", found)))

        async def counted(key: str) -> Counted:
            await limiter.flush()
            return await asyncio.to_thread(look, key)

        async def sweep_answers() -> None:
            await answers.sweep()

        yield Store("redis", state, fake, age, sweep, counted, answers.look, sweep_answers)


async def until(reached: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    async with asyncio.timeout(10):
        while not reached():
            await asyncio.sleep(0.01)


async def healthy(store: Store) -> None:
    """Wait until a store with a real clock goes by Redis."""
    await until(lambda: not store.state.limiter.down)  # type: ignore[attr-defined]  # this kind's


async def away(store: Store) -> None:
    """Wait until a store with a real clock says that Redis does not answer."""
    await until(lambda: AWAY in store.state.problem())


def _age(url: str, prefix: str, seconds: float) -> None:
    """Set back every time that is kept, which is the same as letting time pass."""
    with Redis.from_url(url) as client:
        for name in cast("list[bytes]", client.keys(f"{prefix}*")):
            kind = client.type(name)
            # Of answers only the times are; all else there is in the order of numbers.
            timeless = b":answers:" in name and not name.endswith((b":gone", b":purges"))
            if kind == b"zset" and not timeless:
                for member in cast("list[bytes]", client.zrange(name, 0, -1)):
                    client.zincrby(name, -seconds, member)
            if kind == b"hash" and client.hexists(name, "at"):
                client.hincrbyfloat(name, "at", -seconds)
            left = cast("int", client.pttl(name))
            if left > 0:
                client.pexpire(name, left - int(seconds * 1000))  # below 0 it is deleted
