"""What is special about state in memory: it sweeps itself, and is bounded."""

from pathlib import Path

from gateway.core.state import Admitted, RequestRow
from gateway.state.base import SWEPT
from gateway.state.memory import ROWS, MemoryConfig, MemoryLedger, MemoryLimiter
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime
from tests.fakes.stores import rate, reserving, slots


async def test_it_sweeps_by_itself(tmp_path: Path) -> None:
    clock = FakeClock()
    async with MemoryConfig().open(make_runtime(clock), tmp_path) as state:
        await state.limiter.reserve(reserving("r", slots(1), deadline=1.0))
        await clock.advance(40)
        again = await state.limiter.reserve(reserving("s", slots(1), deadline=1.0))
    assert isinstance(again, Admitted)


async def test_counters_that_are_as_good_as_new_are_dropped_in_their_turn() -> None:
    clock = FakeClock()
    limiter = MemoryLimiter(clock)
    for number in range(2 * SWEPT):
        name = f"r{number}"
        held = (slots(2 * SWEPT),) if number == 0 else ()
        await limiter.reserve(reserving(name, rate(60, key=name), *held, deadline=1e6))
    clock.now += 2
    for left in (SWEPT + 2, 2, 1):
        limiter.sweep()
        assert len(limiter.accounts.counters) == left


async def test_the_ledger_remembers_the_newest_requests_only() -> None:
    ledger = MemoryLedger()
    for number in range(ROWS + 5):
        row = RequestRow(
            id=f"r{number}",
            at=1,
            tenant="acme",
            key="",
            policy="p",
            endpoint="e",
            model="m",
            status=200,
        )
        ledger.record([row])
    assert (await ledger.sums(0))["acme"].requests == ROWS
