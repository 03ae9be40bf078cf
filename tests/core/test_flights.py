import asyncio

import pytest

from gateway.core.flights import PROMOTIONS, Flight, Flights
from tests.fakes.clock import settle


async def waiting(flight: Flight[str], number: int) -> "list[asyncio.Task[object]]":
    tasks = [asyncio.create_task(flight.wait()) for _ in range(number)]
    await settle(1)
    return list(tasks)


async def test_all_who_wait_get_what_lands_and_nobody_joins_any_more() -> None:
    flights = Flights[str]()
    flight = flights.begin("k")
    tasks = await waiting(flight, 3)
    assert flights.find("k") is flight
    flight.land("here")
    assert await asyncio.gather(*tasks) == ["here"] * 3
    assert flights.find("k") is None
    assert len(flights) == 0


async def test_when_a_leader_fails_one_is_promoted_and_after_some_times_none() -> None:
    flights = Flights[str]()
    flight = flights.begin("k")
    tasks = await waiting(flight, 4)
    for number in range(PROMOTIONS):
        flight.fail()
        assert await tasks[number] is flight
        assert not tasks[-1].done()
    flight.fail()
    assert await asyncio.gather(*tasks[PROMOTIONS:]) == [None, None]
    assert len(flights) == 0


async def test_one_who_left_is_passed_over() -> None:
    flights = Flights[str]()
    flight = flights.begin("k")
    first, second = await waiting(flight, 2)
    first.cancel()
    await settle(2)
    assert flight.followed
    flight.hand_over()
    assert await second is flight
    assert not flight.followed


async def test_who_leaves_in_the_moment_of_promotion_passes_it_on() -> None:
    flights = Flights[str]()
    flight = flights.begin("k")
    first, second = await waiting(flight, 2)
    flight.hand_over()
    first.cancel()
    assert await second is flight
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_was_begun_ends_when_nobody_is_left() -> None:
    ended = []

    class Begun:
        def abandon(self) -> None:
            ended.append(True)

    flights = Flights[str]()
    flight = flights.begin("k")
    flight.call = Begun()
    flight.hand_over()
    assert ended == [True]
    assert len(flights) == 0


async def test_landing_twice_leaves_a_later_flight_of_the_key_alone() -> None:
    flights = Flights[str]()
    old = flights.begin("k")
    old.land("one")
    new = flights.begin("k")
    old.hand_over()
    assert flights.find("k") is new
