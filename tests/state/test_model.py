"""C14: whatever happens in whatever order, what is spent and held is what a simple model says."""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from gateway.core.errors import StateUnavailable
from gateway.core.state import GRACE, Admitted, Lease, RequestRow
from gateway.state.redis import recovery
from gateway.state.redis.limiter import RedisLimiter
from loadtest.fault_proxy import FaultProxy, fault_proxy
from tests.fakes.clock import FakeClock
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import Asked, Counted, Store, open_redis, open_store, slots

USD, SLOTS = "acme/usd/2026-11", "acme/slots"
LIMIT, AT_ONCE, SHARE = 1_000, 8, 0.05
DEADLINE, STEP = 20.0, 20.0
"""Leases end at 50 seconds and time passes in steps of 20, so no end is near a step."""
TICK = 0.001
"""Seconds by which the clock goes on until Redis is found: too few to matter to any lease."""
T = TypeVar("T")
PICK = st.integers(0, 1_000)


class Modelled(Struct):
    """What the model knows of a lease."""

    lease: Lease
    amount: int
    """What is reserved, or was charged when it expired."""
    ends: float
    expired: bool = False
    orphan: bool = False
    """The process that held it was killed."""


class Machine(RuleBasedStateMachine):
    """A store of one kind, and what it should have counted."""

    kind = "memory"
    server: RedisServer | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name)
        self.outer, self.inner = AsyncExitStack(), AsyncExitStack()
        self.proxy: FaultProxy | None = None
        self.live: dict[str, Modelled] = {}
        self.ended: list[Lease] = []
        self.settled = self.overrun = self.names = self.lives = 0
        self.aged = 0.0
        self.time = FakeClock().now
        if self.server is not None:
            self.proxy = self.do(self.outer.enter_async_context(fault_proxy(self.server.port)))
        self.open()

    def do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def open(self) -> None:
        if self.proxy is None:
            opening = open_store(self.kind, self.home)
        else:
            options: dict[str, Any] = {
                "timeout": 2.0,
                "lease": SHARE,
                "prefix": f"{self.home.name}:",
            }
            opening = open_redis(self.home, self.proxy.url, **options)
        self.store: Store = self.do(self.inner.enter_async_context(opening))
        self.store.clock.now = self.time
        self.lives += 1
        self.heal()

    def teardown(self) -> None:
        self.check_ledger()
        self.do(self.inner.aclose())
        self.do(self.outer.aclose())
        self.runner.close()
        self.folder.cleanup()

    @property
    def passed(self) -> float:
        return self.aged if self.kind == "redis" else self.store.clock.now

    @property
    def spent(self) -> int:
        return self.settled + sum(known.amount for known in self.live.values() if known.expired)

    @property
    def held(self) -> int:
        return sum(known.amount for known in self.live.values() if not known.expired)

    def slots(self) -> int:
        return sum(not known.expired for known in self.live.values())

    def limits(self, amount: int) -> tuple[Asked, Asked]:
        return (self.store.budget(LIMIT, amount), slots(AT_ONCE))

    def take(self, amount: int) -> bool:
        self.names += 1
        name = f"r{self.names}"
        decision = self.do(self.store.reserve(name, *self.limits(amount), deadline=DEADLINE))
        if isinstance(decision, Admitted):
            ends = self.passed + DEADLINE + GRACE
            self.live[name] = Modelled(decision.lease, amount, ends)
        return isinstance(decision, Admitted)

    def picked(self, number: int, *, orphans: bool = True) -> Modelled | None:
        found = [known for known in self.live.values() if orphans or not known.orphan]
        return found[number % len(found)] if found else None

    def end(self, known: Modelled, used: int) -> None:
        self.live.pop(known.lease.id)
        self.ended.append(known.lease)
        self.settled += used
        self.overrun += max(0, used - known.amount)
        row = RequestRow(
            id=known.lease.id,
            at=1.0,
            tenant="acme",
            key="",
            policy="p",
            endpoint="e",
            model="m",
            status=200,
            micro_dollars=used,
        )
        self.store.state.ledger.record([row])

    @rule(amount=st.integers(0, 400))
    def reserve(self, amount: int) -> None:
        fits = self.spent + self.held + amount <= LIMIT and self.slots() < AT_ONCE
        assert self.take(amount) == fits

    @rule(amount=st.integers(0, 400))
    def reserve_and_leave(self, amount: int) -> None:
        """The caller is gone before the answer is there."""

        self.names += 1
        name = f"left{self.names}"

        async def leave() -> None:
            asking = asyncio.ensure_future(self.store.reserve(name, *self.limits(amount)))
            await asyncio.sleep(0)
            asking.cancel()
            (decision,) = await asyncio.gather(asking, return_exceptions=True)
            if isinstance(decision, Admitted):  # without I/O it was there at once
                self.store.state.limiter.release(decision.lease)

        self.do(leave())

    @rule(number=PICK, used=st.integers(0, 600))
    def settle(self, number: int, used: int) -> None:
        known = self.picked(number, orphans=self.kind != "redis")
        if known is not None:
            self.store.settle(known.lease, {USD: used})
            self.end(known, used)

    @rule(number=PICK)
    def release(self, number: int) -> None:
        known = self.picked(number, orphans=self.kind != "redis")
        if known is not None:
            self.store.state.limiter.release(known.lease)
            self.end(known, 0)

    @rule(number=PICK, used=st.integers(0, 600))
    def settle_again(self, number: int, used: int) -> None:
        if self.ended:
            self.store.settle(self.ended[number % len(self.ended)], {USD: used})

    @rule(number=PICK, amount=st.integers(0, 600))
    def lower(self, number: int, amount: int) -> None:
        known = self.picked(number, orphans=self.kind != "redis")
        if known is not None and not (known.expired and self.kind == "redis"):
            self.store.lower(known.lease, {USD: amount})
            if not known.expired:
                known.amount = min(known.amount, amount)

    @rule(steps=st.integers(1, 4))
    def let_time_pass(self, steps: int) -> None:
        self.do(self.store.age(steps * STEP))
        self.aged += steps * STEP
        self.do(self.store.sweep())
        for known in self.live.values():
            known.expired = known.expired or known.ends < self.passed

    @rule(seconds=st.sampled_from([-3_600.0, 0.0, 86_400.0]))
    def step_the_wall_clock(self, seconds: float) -> None:
        self.store.clock.stepped = seconds

    @precondition(lambda self: self.kind != "memory")
    @rule(number=PICK, used=st.integers(0, 600))
    def crash(self, number: int, used: int) -> None:
        """Killed after a settlement that was not handed over yet; another process goes on."""
        known = self.picked(number)
        limiter: Any = self.store.state.limiter
        self.do(limiter.flush())
        if self.kind == "redis":
            limiter._meter.hand_over()
        if known is not None:
            self.store.settle(known.lease, {USD: used})
        (limiter._link if self.kind == "redis" else limiter.writer)._waiting.clear()
        if self.kind == "redis":
            limiter._meter._sums.clear()
        self.time = self.store.clock.now
        self.do(self.inner.aclose())
        for one in self.live.values():
            one.orphan = True
        self.open()

    @precondition(lambda self: self.kind == "redis")
    @rule(amounts=st.lists(st.integers(0, 40), max_size=3), number=PICK, used=st.integers(0, 600))
    def lose_the_connection(self, amounts: list[int], number: int, used: int) -> None:
        """Requests come and go meanwhile; the first one may be in Redis or not."""
        assert self.proxy is not None
        self.do(self.store.state.limiter.flush())
        self.proxy.cut = True
        for amount in (0, *amounts):
            self.take(amount)
        self.settle(number, used)
        self.proxy.cut = False
        self.heal()

    @precondition(lambda self: self.kind == "redis")
    @rule(amounts=st.lists(st.integers(0, 40), max_size=3), number=PICK, used=st.integers(0, 600))
    def lose_everything(self, amounts: list[int], number: int, used: int) -> None:
        assert self.server is not None
        self.do(self.store.state.limiter.flush())
        self.server.command("FLUSHALL")
        for name, known in list(self.live.items()):
            if known.orphan:
                self.live.pop(name)
            else:
                # This process still has it, so it is held again, be it expired or not; that time
                # has passed was told to Redis alone, so all of the lease's time is before it again.
                known.expired = False
                known.ends = self.passed + DEADLINE + GRACE
        for amount in amounts:
            self.take(amount)
        self.settle(number, used)
        self.heal()

    def heal(self) -> None:
        """Have the store look for Redis until it goes by it again."""

        async def look() -> None:
            limiter = self.store.state.limiter
            if isinstance(limiter, RedisLimiter):
                with suppress(StateUnavailable):
                    await limiter.flush()
                async with asyncio.timeout(5):
                    while limiter.down:
                        await self.store.clock.advance(TICK)
                        await asyncio.sleep(0.002)

        self.do(look())

    @invariant()
    def what_is_counted_is_what_the_model_says(self) -> None:
        counted = self.do(self.store.counted(USD))
        assert counted == Counted(self.spent, self.held)
        assert counted.spent >= 0
        assert counted.held >= 0
        local = LIMIT * SHARE * self.lives if self.kind == "redis" else 0
        assert counted.spent + counted.held <= LIMIT + self.overrun + local
        assert self.do(self.store.counted(SLOTS)) == Counted(0, self.slots())

    def check_ledger(self) -> None:
        self.do(self.store.state.ledger.flush())
        sums = self.do(self.store.state.ledger.sums(0.0))
        assert sum(one.micro_dollars for one in sums.values()) == self.settled


class OnSqlite(Machine):
    kind = "sqlite"


class OnRedis(Machine):
    kind = "redis"


KINDS: dict[str, type[Machine]] = {"memory": Machine, "sqlite": OnSqlite, "redis": OnRedis}


@pytest.mark.parametrize(
    ("runs", "steps"), [(25, 20), pytest.param(2_000, 50, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_c14_any_history_is_counted_as_the_model_counts_it(
    kind: str,
    runs: int,
    steps: int,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = KINDS[kind]
    monkeypatch.setattr(recovery, "GATHERING", 0.0)
    for name in ("LOOK", "PAUSE"):
        monkeypatch.setattr(recovery, name, TICK)
    if kind == "redis":
        monkeypatch.setattr(machine, "server", request.getfixturevalue("redis"))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
