"""Places at a target: taken, waited for, refused, given back."""

import asyncio
import sys
from random import Random
from typing import Any

import pytest

from gateway.core.capacity import JITTER, LONGEST, Capacity, Concurrency, Slot, Slots
from gateway.core.catalogue import Model
from gateway.core.errors import Overloaded, UpstreamBroken, UpstreamBusy, UpstreamTimeout
from gateway.core.exchange import Caller
from gateway.core.reply import Tally, Usage
from tests.fakes.clock import FakeClock, settle

ANYBODY = Caller(tenant="t")
BUSY = UpstreamBusy("later", status=429)


class House:
    """The slots of one target, in virtual time."""

    def __init__(self, **rule: Any) -> None:
        self.clock = FakeClock(0.0)
        self.slots = Slots(Concurrency(**rule), self.clock, Random(1))

    def take(self) -> Slot:
        slot = self.slots.take()
        assert slot is not None
        return slot

    def wait(self, caller: Caller = ANYBODY, deadline: float = 1e6) -> "asyncio.Task[Slot]":
        return asyncio.ensure_future(self.slots.wait(caller, 100, deadline))

    async def refusal(self, deadline: float = 1e6) -> Overloaded:
        with pytest.raises(Overloaded) as caught:
            await self.slots.wait(ANYBODY, 100, deadline)
        return caught.value

    async def served(self, seconds: float) -> None:
        """Let one request come and go, so that it is known how long one takes."""
        slot = self.take()
        await self.clock.advance(seconds)
        slot.answered(Usage(1, 1))


@pytest.mark.parametrize("adaptive", [True, False])
def test_at_most_so_many_are_sent_at_once(adaptive: bool) -> None:
    house = House(max=2, adaptive=adaptive)
    first, _second = house.take(), house.take()
    assert house.slots.take() is None
    first.back()
    assert house.slots.in_use == 1
    house.take()
    assert house.slots.take() is None


def test_a_place_is_given_back_once() -> None:
    house = House(max=2)
    slot, other = house.take(), house.take()
    slot.began()
    slot.ended(Tally(clean=True))
    slot.back()
    slot.failed(BUSY)
    assert house.slots.in_use == 1
    other.failed(UpstreamBroken("reset"))
    assert house.slots.in_use == 0


async def test_a_place_that_gets_free_goes_to_whoever_waits() -> None:
    house = House(max=1, adaptive=False)
    slot, waiting = house.take(), house.wait()
    await settle()
    assert house.slots.waiting == 1
    slot.back()
    assert house.slots.take() is None  # it is not there to be snatched
    second = await waiting
    assert (house.slots.in_use, house.slots.waiting) == (1, 0)
    second.back()
    assert house.slots.in_use == 0


async def test_g02_one_who_leaves_takes_no_place_and_loses_none() -> None:
    house = House(max=1, adaptive=False)
    slot, gone, stays = house.take(), house.wait(), house.wait()
    await settle()
    gone.cancel()
    await settle()
    slot.back()
    (await stays).back()
    slot, late = house.take(), house.wait()
    await settle()
    slot.back()
    late.cancel()  # it has its place, and never heard of it
    await settle()
    assert (house.slots.in_use, house.slots.waiting) == (0, 0)


async def test_g02_whose_turn_would_come_after_its_deadline_is_refused_at_once() -> None:
    house = House(max=1, adaptive=False)
    await house.served(10.0)
    house.take()
    waiting = house.wait(deadline=21.0)
    await settle()
    assert house.slots.waiting == 1
    error = await house.refusal(deadline=21.0)
    assert "too late" in error.detail
    assert house.clock.now == 10.0
    await house.clock.advance(11.0)
    with pytest.raises(Overloaded):
        await waiting
    assert house.slots.waiting == 0


async def test_g02_time_for_the_first_token_is_left() -> None:
    house = House(max=1)
    for _ in range(16):
        slot = house.take()
        await house.clock.advance(2.0)
        slot.began()
        slot.ended(Tally(clean=True))
    house.take()
    await house.refusal(deadline=house.clock.now + 3.9)
    waiting = house.wait(deadline=house.clock.now + 4.1)
    await settle()
    assert house.slots.waiting == 1
    waiting.cancel()
    await settle()


async def test_a_full_queue_says_when_to_come_back() -> None:
    house = House(max=2, adaptive=False, queue=3)
    await house.served(10.0)
    house.take(), house.take()
    waiting = [house.wait() for _ in range(3)]
    await settle()
    error = await house.refusal()
    assert (error.status, error.code) == (503, "overloaded")
    assert error.retry_after is not None
    assert 20 <= error.retry_after <= 20 * (1 + JITTER)  # 4 turns, 5 s each
    for each in waiting:
        each.cancel()
    await settle()


async def test_g08_those_who_are_refused_together_are_told_to_come_back_one_after_another() -> None:
    """G08: 2,000 at once; in no second do more than half of them come again."""
    house = House(max=100, adaptive=False, queue=0)
    await house.served(1.0)
    for _ in range(100):
        house.take()
    waits = [(await house.refusal()).retry_after or 0.0 for _ in range(2_000)]
    assert max(waits) <= 60.0
    assert min(waits) > 0.0
    seconds = [sum(second <= wait < second + 1 for wait in waits) for second in range(61)]
    sys.stdout.write(f"G08: of 2,000 refused at once, {max(seconds)} come back in one second\n")
    assert max(seconds) <= 200
    assert LONGEST * (1 + JITTER) <= 60.0


async def test_without_room_to_wait_everybody_is_refused_at_once() -> None:
    house = House(max=1, adaptive=False, queue=0)
    house.take()
    error = await house.refusal()
    assert error.retry_after is not None
    assert house.clock.now == 0.0


async def test_a_limit_that_rises_lets_those_who_wait_through() -> None:
    house = House()
    slots = [house.take() for _ in range(100)]
    waiting = [house.wait() for _ in range(50)]
    await settle()
    await house.clock.advance(1.0)
    for slot in slots[-32:]:
        slot.began()
    await settle()
    assert house.slots.limit > 100
    assert house.slots.waiting == 0
    for slot in [*slots, *[await each for each in waiting]]:
        slot.back()
    assert house.slots.in_use == 0


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BUSY, True),
        (UpstreamTimeout("no token", code="upstream_first_byte_timeout"), True),
        (UpstreamTimeout("its own deadline", code="upstream_timeout"), False),
        (UpstreamBroken("reset"), False),
        (asyncio.CancelledError(), False),
    ],
)
def test_what_counts_against_a_target(error: BaseException, counts: bool) -> None:
    house = House()
    for _ in range(64):
        house.clock.now += 0.1
        house.take().failed(error)
    assert (house.slots.limit < 100) is counts
    assert house.slots.in_use == 0


def test_a_target_is_a_provider_and_its_own_name_for_a_model() -> None:
    capacity = Capacity(FakeClock(), Random(1), {"few": Concurrency(max=1, adaptive=False)})
    small = Model(provider="few", name="small", upstream="s-1")
    alike = Model(provider="few", name="also-small", upstream="s-1")
    other = Model(provider="more", name="small-too", upstream="s-1")
    assert capacity.at(small) is capacity.at(alike) is capacity.at(small)
    assert capacity.at(other) is not capacity.at(small)
    assert (capacity.at(small).limit, capacity.at(other).limit) == (1, 100)
    assert [(p, m) for p, m, _ in capacity.targets()] == [("few", "s-1"), ("more", "s-1")]
