"""F09: a second request while the first is slow to begin, in virtual time."""

import asyncio
from typing import Any

import pytest

from gateway.core.charge import charge_of, shares_of
from gateway.core.notes import Attempted, Wasted
from gateway.core.outcome import gather
from gateway.core.reply import Stream
from gateway.stages.failover.hedge import acts
from tests.fakes.clock import settle
from tests.fakes.failover import House, breaks, fails
from tests.fakes.relay import read

TWO = ({"model": "one"}, {"model": "two"})


async def warm(extra: float = 50, count: int = 100, **more: Any) -> House:
    """A house that knows that `one` begins within 0.5 s, and that saved up for second requests."""
    house = House(*TWO, hedge={"extra": extra}, **more)
    house.a.takes = house.b.takes = 0.5
    for turn in range(count):
        await read(await house.stream(f"prompt {turn}"))
    return house


async def test_f09_a_slow_first_token_is_raced_by_the_next_target() -> None:
    house = await warm()
    house.a.takes = 1.4
    began = house.clock.now
    stream = await house.stream()
    assert stream.answered.provider == "b"
    assert house.clock.now - began == pytest.approx(1.0, rel=0.1)
    assert (house.verdicts, house.route) == (["hedged"], "failover: a is slow")
    assert gather(house.notes).provider == "b"
    assert house.a.cancelled == 1
    await read(stream)
    assert house.condition("a", "one").outstanding == 0
    assert house.condition("b", "two").outstanding == 0


async def test_f09_the_loser_is_cancelled_at_once_and_billed() -> None:
    house = await warm()
    house.a.takes = 1.4
    stream = await house.stream("hello " * 100)
    [lost] = house.notes.all(Wasted)
    assert (lost.provider, lost.model) == ("a", "one")
    assert lost.micro_dollars == lost.input > 100
    tried = house.notes.all(Attempted)
    assert [each.code for each in tried] == ["", "cancelled"]
    assert tried[1].ended - tried[0].ended <= 0.25
    await read(stream)
    facts = gather(house.notes)
    assert (facts.provider, facts.model, len(facts.attempts)) == ("b", "two", 2)
    assert facts.used is not None
    assert facts.used.model == "two"


async def test_f09_of_two_that_begin_at_once_one_answers_and_the_other_is_billed_for_itself() -> (
    None
):
    house = await warm()
    house.a.takes = house.b.takes = 1.4
    exchange = house.exchange("hello " * 100, stream=True)
    asking = asyncio.ensure_future(house.chain(exchange))
    await house.clock.advance(1)
    assert house.verdicts == ["hedged"]
    while house.clock.move_on():  # both are due before either is heard
        pass
    await settle()
    stream = await asking
    assert isinstance(stream, Stream)
    await read(stream)
    facts = gather(house.notes)
    charge = charge_of(facts)
    [lost] = facts.wasted
    assert len(facts.attempts) == 2
    assert facts.provider == stream.answered.provider != lost.provider
    assert facts.passed is None
    assert facts.used is not None
    assert facts.used.micro_dollars is not None
    assert lost.micro_dollars
    assert charge.amounts.micro_dollars == facts.used.micro_dollars + lost.micro_dollars
    shares = dict(zip((each.provider for each in facts.attempts), shares_of(facts), strict=True))
    assert shares[lost.provider].micro_dollars == lost.micro_dollars
    assert shares[facts.provider].micro_dollars == facts.used.micro_dollars


async def test_f09_what_became_of_second_requests_is_counted() -> None:
    house = await warm()
    [(_, budget)] = house.health.budgets()
    hedges = budget.hedges
    house.a.takes = 1.4
    await read(await house.stream())
    assert (hedges.started, hedges.won, hedges.lost) == (1, 1, 0)
    [lost] = house.notes.all(Wasted)
    assert hedges.micro_dollars == lost.micro_dollars
    house.a.takes, house.b.takes = 0.9, 9
    await read(await house.stream())
    assert (hedges.started, hedges.won, hedges.lost) == (2, 1, 1)
    assert house.route == "ordered", "it went where it goes when all is well"
    house.a.does = house.b.does = breaks()
    await house.failure(stream=True)
    assert (hedges.started, hedges.won, hedges.lost) == (3, 1, 1)


async def test_f09_second_requests_stay_within_their_share_when_one_in_twenty_is_slow() -> None:
    house = await warm(extra=3, count=20)
    turns = [0]

    def sometimes(_call: Any) -> Any:
        turns[0] += 1
        return 1.3 if turns[0] % 20 == 0 else None

    house.a.does = sometimes
    calls = len(house.b.calls)
    for turn in range(1_000):
        house.clock.now += 1
        await read(await house.stream(f"later {turn}"))
    hedges = len(house.b.calls) - calls
    [(_, budget)] = house.health.budgets()
    assert hedges == budget.hedges.started == 50
    # The second target costs a tenth: fifty of it are half a percent of all spending.


async def test_f09_a_dear_second_target_is_asked_less_often() -> None:
    house = House({"model": "two"}, {"model": "one"}, hedge={"extra": 3})
    house.a.takes = house.b.takes = 0.5
    for turn in range(20):
        await read(await house.stream(f"prompt {turn}"))
    house.b.does = lambda call: 1.3
    for turn in range(300):
        house.clock.now += 1
        await read(await house.stream(f"later {turn}"))
    assert len(house.a.calls) == 0, (
        "one costs ten times as much, and never more than 5 are saved up"
    )


async def test_the_first_may_still_win() -> None:
    house = await warm()
    house.a.takes, house.b.takes = 0.8, 5.0
    stream = await house.stream()
    assert stream.answered.provider == "a"
    assert house.b.cancelled == 1
    await read(stream)


async def test_when_the_first_fails_the_second_goes_on_and_the_other_way_round() -> None:
    house = await warm()

    def late(_call: Any) -> Any:
        return 1.2

    house.a.does = late
    house.b.does = breaks()
    assert (await house.stream()).answered.provider == "a"
    house = await warm()
    house.a.takes = 1.2
    house.a.does = fails(500)
    house.b.takes = 2.0
    assert (await house.stream("b")).answered.provider == "b"


async def test_when_both_fail_the_walk_goes_on() -> None:
    house = House(*TWO, {"model": "three"}, hedge={"extra": 50})
    house.a.takes = house.b.takes = 0.5
    for turn in range(60):
        await read(await house.stream(f"prompt {turn}"))
    house.a.takes, house.a.does = 1.2, fails(500)
    house.b.does = fails(500)
    assert (await house.stream()).answered.provider == "c"
    house.c.does = fails(500)
    error = await house.failure(stream=True)
    assert error.status == 502


async def test_an_error_that_ends_the_chain_ends_it_here_too() -> None:
    house = await warm()
    house.a.does = fails(400)
    error = await house.failure(stream=True)
    assert error.status == 400


async def test_a_caller_who_leaves_takes_both_along() -> None:
    house = await warm()
    house.a.takes = house.b.takes = 1.3
    asking = asyncio.ensure_future(house.chain(house.exchange(stream=True)))
    await house.clock.advance(1.0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (house.a.cancelled, house.b.cancelled) == (1, 1)
    assert house.condition("a", "one").outstanding == 0


async def test_f09_whoever_stands_in_for_a_target_that_is_shut_says_so_when_it_wins() -> None:
    house = House({"model": "three"}, *TWO, hedge={"extra": 50})
    house.c.does = fails(401)
    house.a.takes = house.b.takes = 0.5
    for turn in range(60):
        await read(await house.stream(f"prompt {turn}"))
    house.a.takes, house.b.takes = 0.9, 9
    await read(await house.stream())
    assert house.verdicts == ["hedged"]
    assert house.route == "failover: c is left alone"


@pytest.mark.parametrize(("ceiling", "asked"), [(1_020, 0), (1_200, 1)])
async def test_f09_both_of_a_race_are_paid_from_the_one_ceiling(ceiling: int, asked: int) -> None:
    """Each alone is affordable; that one answers and the other's input is paid for may not be."""
    house = await warm()
    house.a.takes = 1.4
    stream = await house.stream("hello " * 640, max_tokens=5, max_cost=ceiling)
    assert isinstance(stream, Stream)
    assert len(house.b.calls) == asked
    assert house.route == ("failover: a is slow" if asked else "ordered")


async def test_an_answer_in_time_is_not_raced_nor_is_a_whole_one() -> None:
    house = await warm()
    await read(await house.stream())
    house.a.takes = 5.0
    await house.ask()
    assert house.b.calls == []


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "mcp"}]},
        {"web_search_options": {}},
        {"mcp_servers": [{"url": "https://a"}]},
        {"plugins": [{"id": "web"}]},
    ],
)
async def test_f09_requests_whose_tools_act_at_the_provider_are_never_sent_twice(
    fields: Any,
) -> None:
    house = await warm()
    house.a.takes = 1.4
    stream = await house.stream(**fields)
    assert isinstance(stream, Stream)
    assert house.b.calls == []


def test_tools_that_the_caller_runs_do_not_act() -> None:
    request = House().exchange(tools=[{"type": "function"}, {"name": "a"}]).request
    assert not acts(request)
    assert not acts(House().exchange().request)
    assert not acts(House().exchange(mcp_servers=[], web_search_options=None).request)
