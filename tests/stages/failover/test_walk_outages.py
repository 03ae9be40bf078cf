"""F01, F07, F10 and F14: probes, panic, pauses and nothing left, in virtual time."""

import asyncio
from typing import Any

import pytest

from gateway.core.errors import AllProvidersDown, UpstreamBroken
from tests.fakes.failover import House, breaks, fails, well


async def test_f07_all_down_is_told_at_once_with_the_earliest_probe() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = house.b.does = breaks("upstream_refused_connection")
    for turn in range(60):
        await house.failure(f"prompt {turn}")
    before = len(house.a.calls) + len(house.b.calls)
    began = house.clock.now
    for turn in range(100):
        error = await house.failure(f"later {turn}")
        assert isinstance(error, AllProvidersDown)
        assert (error.status, error.code) == (503, "all_providers_down")
        soonest = min(house.condition(*at).breaker.until for at in (("a", "one"), ("b", "two")))
        assert error.retry_after == pytest.approx(soonest - house.clock.now)
    assert house.clock.now == began
    assert len(house.a.calls) + len(house.b.calls) == before


async def test_f07_one_probe_goes_out_each_time() -> None:
    house = House({"model": "one"})
    house.a.does = breaks("upstream_refused_connection")
    for turn in range(20):
        await house.failure(f"prompt {turn}")
    for probes in range(1, 5):
        house.clock.now = house.condition("a", "one").breaker.until
        for turn in range(100):
            await house.failure(f"later {turn}")
        assert len(house.a.calls) == 20 + probes
    house.a.does = well
    house.clock.now = house.condition("a", "one").breaker.until
    assert await house.served_by() == "a"
    assert house.condition("a", "one").breaker.closed


async def test_f10_of_a_hundred_that_wait_one_is_the_probe() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    for turn in range(25):
        house.clock.now += 0.4
        await house.ask(f"prompt {turn}")
    probed = len(house.a.calls)
    house.clock.now = house.condition("a", "one").breaker.until
    house.a.does, house.a.takes = well, 1.0
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(100)]
    await house.clock.advance(2)
    replies = await asyncio.gather(*asking)
    assert [reply.answered.provider for reply in replies].count("a") == 1
    assert len(house.a.calls) == probed + 1
    assert await house.served_by() == "a"


async def test_f10_a_probe_whose_caller_leaves_is_followed_by_another() -> None:
    house = House({"model": "one"})
    house.a.does = breaks()
    for turn in range(20):
        await house.failure(f"prompt {turn}")
    house.clock.now = house.condition("a", "one").breaker.until
    house.a.does, house.a.takes = well, 5.0
    asking = asyncio.ensure_future(house.chain(house.exchange()))
    await house.clock.advance(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert house.condition("a", "one").outstanding == 0
    assert await house.served_by() == "a"


async def test_f14_the_last_usable_target_is_tried_though_it_often_fails() -> None:
    house = House({"model": "one"})
    turns = [0]

    def every_third(call: Any) -> Any:
        turns[0] += 1
        return None if turns[0] % 3 == 0 else breaks()(call)

    house.a.does = every_third
    good = 0
    for turn in range(300):
        house.clock.now += 0.1
        try:
            await house.ask(f"prompt {turn}")
            good += 1
        except UpstreamBroken:
            pass
    assert not house.condition("a", "one").breaker.closed
    assert good == 100
    assert len(house.a.calls) == 300


async def test_f14_while_another_is_usable_there_is_no_panic() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    for turn in range(30):
        await house.ask(f"prompt {turn}")
    calls = len(house.a.calls)
    for turn in range(30):
        assert await house.served_by(f"later {turn}") == "b"
    assert len(house.a.calls) == calls


async def test_f06_a_flapping_target_costs_less_than_one_request_in_a_hundred() -> None:
    """5 s up, 5 s down, for ten minutes at 5 requests a second."""
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = lambda call: None if int(house.clock.now) % 10 < 5 else breaks()(call)
    good = 0
    for turn in range(3_000):
        house.clock.now = 1_000 + turn / 5
        try:
            await house.ask(f"prompt {turn}")
            good += 1
        except UpstreamBroken:
            pass
    assert good / 3_000 >= 0.99
    breaker = house.condition("a", "one").breaker
    assert breaker.openings <= 9
    # A switch away is an opening, a switch back its end.
    assert len([each for each in house.news if each[0] == "closed"]) <= breaker.openings


async def test_while_the_budget_is_nearly_spent_a_target_that_fails_goes_last() -> None:
    """At two failures in five the breaker never opens, and a budget does not pay for them all."""
    house = House({"model": "one"}, {"model": "two"})
    turns = [0]

    def often(call: Any) -> Any:
        turns[0] += 1
        return breaks()(call) if turns[0] % 5 < 2 else None

    house.a.does = often
    good, behind = 0, set()
    for turn in range(2_000):
        house.clock.now += 0.02
        try:
            await house.ask(f"prompt {turn}")
            good += 1
        except UpstreamBroken:
            pass
        if house.asked == ["b"]:
            behind.add(house.route)
    assert house.condition("a", "one").breaker.openings == 0
    assert good >= 1_990
    [(_, budget)] = house.health.budgets()
    assert budget.refused <= 10
    assert behind == {"failover: a often fails"}, "the header says why the first was not asked"


@pytest.mark.parametrize(
    ("first", "second", "wait"), [("30", "7", 7), ("7", "30", 7), ("90", "120", 60)]
)
async def test_f01_where_all_are_busy_the_caller_hears_when_the_first_is_free_again(
    first: str, second: str, wait: float
) -> None:
    house = House({"model": "one"}, {"model": "two"}, deadline=5)
    house.a.does = fails(429, retry_after=first)
    house.b.does = fails(429, retry_after=second)
    error = await house.failure()
    assert error.status == 429
    assert error.retry_after == pytest.approx(wait)
    assert house.asked == ["a", "b"]
