"""Waiting for a limit: in fair order, no longer than it may be, and woken when there is room."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.errors import GatewayError, LimitReached
from gateway.core.exchange import Caller, Priority
from gateway.core.notes import Queued
from tests.fakes.clock import settle
from tests.fakes.limited import ALICE, BOB, LimitedHouse
from tests.fakes.relay import ASK, read

Asked = asyncio.Task[Any]
LONG = {**ASK, "messages": [{"role": "user", "content": "x" * 1200}]}
"""More tokens than a tenant may send at one visit of the round robin."""


class Waiting(LimitedHouse):
    """A house whose requests may wait; `through` are those let in, in order."""

    def __init__(self, *limits: dict[str, Any], **policy: Any) -> None:
        super().__init__(*limits, overflow="wait", **policy)
        self.through: list[str] = []
        self.refused_ones: list[str] = []

    async def come(self, name: str, caller: Caller = ALICE, **more: Any) -> Asked:
        async def visit() -> Any:
            try:
                reply = await self.ask(LONG, caller=caller, stream=True, **more)
            except GatewayError as error:
                self.refused_ones.append(name)
                return error
            self.through.append(name)
            return reply

        task = asyncio.ensure_future(visit())
        await settle()
        return task


def of(tenant: str, priority: Priority = "normal") -> Caller:
    return Caller(tenant=tenant, priority=priority)


async def test_a_request_waits_until_a_place_is_given_back_and_says_how_long() -> None:
    house = Waiting({"concurrent": 1})
    first = await house.stream(caller=ALICE)
    second = await house.come("second")
    assert house.through == []
    house.clock.now += 0.3
    await read(first)
    await settle()
    assert house.through == ["second"]
    assert house.verdict == "waited"
    (queued,) = house.notes.all(Queued)
    assert queued.seconds == pytest.approx(0.3)
    await read(second.result())
    assert house.leases == 0


async def test_a_rate_lets_those_who_wait_in_one_by_one_when_their_time_has_come() -> None:
    house = Waiting({"requests": 1, "every": "10s"})
    tasks = [await house.come(str(number)) for number in range(4)]
    assert house.through == ["0"]
    for through in (["0", "1"], ["0", "1", "2"], ["0", "1", "2", "3"]):
        await house.clock.advance(10)
        assert house.through == through
    for task in tasks:
        await task.result().blocks.aclose()


async def test_tenants_take_turns_however_many_of_one_wait() -> None:
    house = Waiting({"concurrent": 1, "per": ()})
    streams = [await house.stream(caller=ALICE)]
    tasks = [await house.come(f"a{number}", of("alice")) for number in range(4)]
    tasks += [await house.come(f"b{number}", of("bob")) for number in range(2)]
    for _ in range(6):
        await read(streams.pop())
        await settle()
        streams += [task.result() for task in tasks if task.done()]
        tasks = [task for task in tasks if not task.done()]
    assert house.through in (
        ["a0", "a1", "b0", "a2", "b1", "a3"],
        ["a0", "b0", "a1", "b1", "a2", "a3"],
    )
    await read(streams.pop())


async def test_high_goes_before_low() -> None:
    house = Waiting({"concurrent": 1, "per": ()})
    first = await house.stream(caller=BOB)
    head = await house.come("head", of("z"))
    low = await house.come("low", of("x", "low"))
    high = await house.come("high", of("y", "high"))
    await read(first)
    await settle()
    assert house.through == ["head"]
    await read(head.result())
    await settle()
    assert house.through == ["head", "high"]
    await read(high.result())
    await settle()
    await read(low.result())


async def test_a_wait_that_does_not_fit_the_deadline_is_refused_at_once() -> None:
    house = Waiting({"requests": 1, "every": "1h"})
    await house.whole()
    error = await house.refused()
    assert error.retry_after is None
    assert house.verdict == "refused"


async def test_those_ahead_count_when_a_newcomers_wait_is_told() -> None:
    house = Waiting({"requests": 1, "every": "100s"})
    tasks = [await house.come(str(number)) for number in range(9)]
    assert house.through == ["0"]
    assert house.refused_ones == ["7", "8"]  # 600 s is all that a request has
    for task in tasks[1:7]:
        task.cancel()
    await settle()
    await asyncio.gather(*tasks[1:7], return_exceptions=True)
    await tasks[0].result().blocks.aclose()


async def test_one_who_leaves_makes_room_for_the_next() -> None:
    house = Waiting({"concurrent": 1})
    first = await house.stream()
    head, second = await house.come("head"), await house.come("second")
    head.cancel()
    await settle()
    await read(first)
    await settle()
    assert house.through == ["second"]
    await read(second.result())
    assert house.leases == 0


async def test_nobody_overtakes_those_who_wait() -> None:
    house = Waiting({"requests": 1, "every": "10s"})
    first, second = await house.come("first"), await house.come("second")
    house.clock.now += 10.5  # there is room, and the one who waits has yet to be woken
    third = await house.come("third")
    assert house.through == ["first"]
    await house.clock.advance(0.1)
    assert house.through == ["first", "second"]
    await house.clock.advance(10)
    assert house.through == ["first", "second", "third"]
    for task in (first, second, third):
        await task.result().blocks.aclose()


async def test_a_wait_for_one_limit_may_lead_to_a_wait_for_another() -> None:
    house = Waiting({"concurrent": 1}, {"requests": 1, "every": "30s"})
    first = await house.stream()
    second = await house.come("second")
    await read(first)
    await house.clock.advance(1)
    assert house.through == []
    await house.clock.advance(30)
    assert house.through == ["second"]
    await second.result().blocks.aclose()


async def test_a_tenants_own_word_on_waiting_goes_first() -> None:
    waiting = Waiting({"concurrent": 1, "per": ()})
    first = await waiting.stream()
    assert isinstance(await waiting.failure(caller=replace(BOB, overflow="refuse")), LimitReached)
    await read(first)
    refusing = LimitedHouse({"concurrent": 1, "per": ()})
    first = await refusing.stream()
    task = asyncio.ensure_future(refusing.ask(caller=replace(BOB, overflow="wait")))
    await settle()
    assert not task.done()
    await read(first)
    await task


async def test_who_has_waited_until_its_deadline_is_refused() -> None:
    house = Waiting({"concurrent": 1})
    first = await house.stream()
    head = await house.come("head")
    behind = await house.come("behind")
    await house.clock.advance(600)
    assert sorted(house.refused_ones) == ["behind", "head"]
    assert isinstance(head.result(), LimitReached)
    assert isinstance(behind.result(), LimitReached)
    await read(first)
    assert house.leases == 0
