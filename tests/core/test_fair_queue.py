"""Waiting in the queue: turns, room, latest moments, and those who leave."""

import asyncio

import pytest

from gateway.core.exchange import Priority
from gateway.core.fair_queue import FairQueue, Shed
from tests.fakes.clock import FakeClock, settle


class Queue:
    """A queue whose visitors write down how they fared."""

    def __init__(self, most: int = 100) -> None:
        self.clock = FakeClock(0.0)
        self.unused = 0
        self.queue = FairQueue(self.clock, most=most, unused=self._unused)
        self.through: list[str] = []
        self.shed: dict[str, bool] = {}

    def _unused(self) -> None:
        self.unused += 1

    async def come(
        self,
        name: str,
        tenant: str = "t",
        priority: Priority = "normal",
        until: float = 60.0,
    ) -> "asyncio.Task[None]":
        async def visit() -> None:
            try:
                await self.queue.turn(tenant, priority, 100, until)
                self.through.append(name)
            except Shed as error:
                self.shed[name] = error.late

        task = asyncio.ensure_future(visit())
        await settle()
        return task


async def test_turns_are_given_one_at_a_time_and_in_fair_order() -> None:
    house = Queue()
    for number in range(5):
        _ = await house.come(f"a{number}", "a")
    _ = await house.come("b0", "b")
    assert house.through == []
    for _ in range(6):
        assert house.queue.next()
        await settle()
    assert house.through == ["a0", "b0", "a1", "a2", "a3", "a4"]
    assert not house.queue.next()
    assert len(house.queue) == 0


async def test_one_who_leaves_is_never_let_through() -> None:
    """G02: the client is gone, nothing is sent for it."""
    house = Queue()
    gone, stays = await house.come("gone"), await house.come("stays")
    gone.cancel()
    await settle()
    assert len(house.queue) == 1
    assert house.queue.next()
    await asyncio.wait([gone, stays])
    assert house.through == ["stays"]
    assert house.unused == 0


async def test_one_who_leaves_right_before_its_turn_does_not_take_it() -> None:
    house = Queue()
    gone, stays = await house.come("gone"), await house.come("stays")
    gone.cancel()
    assert house.queue.next()  # the cancelled one has not run yet
    await asyncio.wait([gone, stays])
    assert (house.through, house.unused, len(house.queue)) == (["stays"], 0, 0)


async def test_a_turn_given_to_one_who_leaves_at_that_moment_is_told() -> None:
    house = Queue()
    gone = await house.come("gone")
    assert house.queue.next()
    gone.cancel()
    await asyncio.wait([gone])
    assert (house.through, house.unused) == ([], 1)


async def test_one_whose_latest_moment_has_come_is_refused() -> None:
    """G02: past its deadline it is dropped before the upstream."""
    house = Queue()
    _ = await house.come("soon", until=5.0)
    _ = await house.come("later", until=50.0)
    await house.clock.advance(5.0)
    assert house.shed == {"soon": True}
    assert house.queue.next()
    await settle()
    assert house.through == ["later"]


async def test_a_turn_comes_too_late_at_the_very_moment() -> None:
    house = Queue()
    _ = await house.come("late", until=5.0)
    house.clock.now = 5.0  # its timer has yet to run
    assert not house.queue.next()
    await settle()
    assert house.shed == {"late": True}


async def test_a_full_queue_refuses_the_newcomer_of_its_only_tenant_at_once() -> None:
    house = Queue(most=2)
    for name in ("first", "second", "third"):
        _ = await house.come(name)
    assert house.shed == {"third": False}
    for _ in range(2):
        house.queue.next()
    await settle()
    assert house.through == ["first", "second"]


async def test_a_full_queue_makes_room_for_another_tenant_and_for_a_higher_class() -> None:
    house = Queue(most=4)
    for number in range(4):
        _ = await house.come(f"noisy{number}", "noisy")
    _ = await house.come("quiet", "quiet")
    _ = await house.come("vip", "vip", "high")
    _ = await house.come("job", "job", "low")
    assert house.shed == {"noisy3": False, "noisy2": False, "job": False}
    while house.queue.next():
        await settle()
    assert set(house.through) == {"vip", "quiet", "noisy0", "noisy1"}


async def test_a_queue_without_room_refuses_everybody() -> None:
    with pytest.raises(Shed):
        await FairQueue(FakeClock(), most=0).turn("t", "high", 1, 1e9)


async def test_how_many_are_ahead_depends_on_who_asks() -> None:
    house = Queue()
    tasks = [await house.come(f"n{number}", "noisy") for number in range(40)]
    assert house.queue.ahead("noisy", "normal", 100) == 40
    assert house.queue.ahead("quiet", "normal", 100) == 1
    assert house.queue.ahead("noisy", "high", 100) < 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert len(house.queue) == 0
