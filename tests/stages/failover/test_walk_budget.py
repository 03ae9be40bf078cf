"""P4 through the whole stage: however tries wait for places, no 10 seconds see a storm."""

import asyncio
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.capacity import Concurrency
from gateway.core.errors import GatewayError
from gateway.core.ports import Call
from gateway.providers.transport.upstream_errors import broken
from tests.fakes.clock import settle
from tests.fakes.failover import Actor, Does, House, breaks, fails, keeps_p4, well

FEW = {name: Concurrency(max=6, adaptive=False) for name in "abc"}
"""So that nearly every try waits for its place."""


@given(seed=st.integers(0, 1 << 32), rate=st.floats(0.5, 20))
@settings(max_examples=20, deadline=None)
def test_p4_holds_however_requests_come_and_however_long_they_wait_for_a_place(
    seed: int, rate: float
) -> None:
    chance, at = Random(seed), 0.0
    requests: list[tuple[float, float]] = []
    for _ in range(100):
        at += chance.expovariate(rate)
        requests.append((at, chance.choice([0.0, 12.0, 15.0, chance.uniform(0, 15)])))
    asyncio.run(storm(requests))


async def storm(requests: Sequence[tuple[float, float]]) -> None:
    """Let requests come at these times, to providers that take so many seconds to fail."""
    house = House(rules=FEW)
    sent: list[tuple[float, str]] = []

    takes = {f"prompt {n}": seconds for n, (_, seconds) in enumerate(requests)}

    def failing(actor: Actor) -> Does:
        def fail(call: Call) -> GatewayError:
            name = call.request.fields["messages"][0]["content"]
            sent.append((house.clock.now, name))
            actor.takes = takes[name]
            return broken("upstream_reset")

        return fail

    for actor in house.actors.values():
        actor.does = failing(actor)
    asking = []
    began = house.clock.now
    for number, (at, _) in enumerate(requests):
        await house.clock.advance(max(0.0, began + at - house.clock.now))
        asking.append(asyncio.ensure_future(house.chain(house.exchange(f"prompt {number}"))))
    while not all(task.done() for task in asking):
        await settle()
        house.clock.move_on()
    await asyncio.gather(*asking, return_exceptions=True)
    firsts = {name: at for at, name in reversed(sent)}
    assert keeps_p4(list(firsts.values()), [at for at, _ in sent])


async def test_a_second_try_that_waits_for_its_place_is_paid_when_it_gets_it() -> None:
    rules = {"b": Concurrency(max=1, adaptive=False)}
    house = House({"model": "one"}, {"model": "two"}, rules=rules)
    house.a.does = fails(500)
    house.b.takes = 10.0
    [budget] = [each for _, each in house.health.budgets()]
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(3)]
    await house.clock.advance(0)
    assert (budget.granted, len(house.b.calls)) == (3, 1)
    await house.clock.advance(9)
    assert budget.level(house.clock.now) == 18, "two are still to be sent"
    await house.clock.advance(30)
    assert len(await asyncio.gather(*asking)) == 3
    assert budget.level(house.clock.now) == 20


async def test_a_second_try_whose_caller_leaves_while_it_waits_is_given_back() -> None:
    rules = {"b": Concurrency(max=1, adaptive=False)}
    house = House({"model": "one"}, {"model": "two"}, rules=rules)
    house.a.does = fails(500)
    house.b.takes = 10.0
    [budget] = [each for _, each in house.health.budgets()]
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(2)]
    await house.clock.advance(1)
    asking[1].cancel()
    await asyncio.gather(asking[1], return_exceptions=True)
    assert budget.granted == 1
    await house.clock.advance(10)
    assert budget.level(house.clock.now) == 20
    assert (await asking[0]).answered.provider == "b"


async def test_who_has_nowhere_else_to_go_is_the_probe_after_five_seconds() -> None:
    house = House({"model": "one"})
    house.a.does = breaks()
    for turn in range(20):
        await house.failure(f"prompt {turn}")
    breaker = house.condition("a", "one").breaker
    for _ in range(5):
        house.clock.now = breaker.until
        await house.failure(f"later {house.clock.now}")
    assert breaker.until - house.clock.now > 100
    house.a.does = well
    await house.failure("too soon")
    house.clock.now += 5.5
    assert await house.served_by() == "a"
    assert breaker.closed


async def test_while_another_serves_a_target_is_left_alone_for_as_long_as_it_was_shut() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    for turn in range(25):
        await house.ask(f"prompt {turn}")
        house.clock.now += 0.4
    breaker = house.condition("a", "one").breaker
    house.clock.now = breaker.until
    await house.ask("the probe")
    house.a.does = well
    house.clock.now += 6
    assert await house.served_by() == "b"


async def test_where_the_others_are_full_the_probe_is_not_put_off_either() -> None:
    house = House(
        {"model": "one"}, {"model": "two"}, rules={"b": Concurrency(max=1, adaptive=False)}
    )
    house.a.does = breaks()
    for turn in range(25):
        await house.ask(f"prompt {turn}")
        house.clock.now += 0.4
    house.clock.now = house.condition("a", "one").breaker.until
    await house.ask("the probe")
    house.a.does, house.b.takes = well, 60.0
    house.clock.now += 6
    crowd = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(2)]
    await house.clock.advance(1)
    assert crowd[1].done()
    assert (await crowd[1]).answered.provider == "a"
    await house.clock.advance(60)
    assert (await crowd[0]).answered.provider == "b"
