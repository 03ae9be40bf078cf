"""F01-F14 of the catalogue as far as they are decisions, in virtual time."""

import asyncio
from typing import Any

import pytest

from gateway.core.errors import (
    AllProvidersDown,
    CapabilityMissing,
    StreamCut,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamRefused,
)
from gateway.core.ports import Call
from gateway.core.reply import Whole
from gateway.providers.transport.upstream_errors import broken
from tests.fakes.failover import House, breaks, fails, in_turn, well
from tests.fakes.relay import STREAM, read

HTTP_DATE = "Tue, 14 Nov 2023 22:13:22 GMT"
"""Two seconds after the fakes' now."""


async def test_the_first_target_answers_and_nothing_else_is_asked() -> None:
    house = House()
    assert await house.served_by() == "a"
    assert (house.asked, house.route, house.verdicts) == (["a"], "ordered", [])
    assert house.a.calls[0].target.chosen


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408, 404])
async def test_f02_a_failing_target_is_followed_by_the_next(status: int) -> None:
    house = House()
    house.a.does = fails(status)
    assert await house.served_by() == "b"
    assert house.asked == ["a", "b"]
    assert house.route.startswith("failover: a ")
    assert house.verdicts == ["failed over"]
    assert house.condition("a", "one").record.tries == 1


async def test_f02_three_tries_are_the_most_and_the_last_error_is_told() -> None:
    house = House(
        {"model": "one"},
        {"model": "two"},
        {"model": "three"},
        {"model": "one", "provider": "spare"},
    )
    for actor in house.actors.values():
        actor.does = fails(500)
    house.c.does = fails(502)
    error = await house.failure()
    assert (error.status, house.asked) == (502, ["a", "b", "c"])
    assert house.verdicts == ["gave up: attempts spent"]


async def test_f02_a_policy_may_allow_fewer() -> None:
    house = House(attempts=1)
    house.a.does = fails(500)
    assert isinstance(await house.failure(), UpstreamBroken)
    assert house.asked == ["a"]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after": "2"}, 2.0),
        ({"retry_after_ms": "2000"}, 2.0),
        ({"retry_after": HTTP_DATE}, 2.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1e9"}, 60.0),
    ],
)
async def test_f01_a_busy_target_is_left_alone_for_as_long_as_it_says(
    headers: Any, pause: float
) -> None:
    house = House()
    house.a.does = fails(429, **headers)
    assert await house.served_by() == "b"
    condition = house.condition("a", "one")
    assert condition.paused_until == house.clock.now + pause
    assert condition.breaker.closed
    house.a.does = well
    house.clock.now += max(0.0, pause - 0.01)
    assert await house.served_by() == ("b" if pause else "a")
    house.clock.now += 0.01
    assert await house.served_by() == "a"


async def test_f01_nonsense_means_a_chance_pause_that_grows() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = fails(429, retry_after="soon")
    pauses = []
    for _ in range(12):
        house.clock.now = max(house.clock.now, house.condition("a", "one").paused_until)
        assert await house.served_by() == "b"
        pauses.append(house.condition("a", "one").paused_until - house.clock.now)
        house.clock.now += 1_000
    assert pauses[0] <= 0.5
    assert max(pauses) > 5
    assert max(pauses) <= 20


async def test_f01_a_pause_is_of_one_model_at_one_key() -> None:
    house = House({"model": "two"}, {"model": "plain"})
    house.b.does = in_turn(fails(429, retry_after="30"), well)
    assert (await house.ask()).answered.model == "plain"
    assert house.asked == ["b", "b"]


async def test_f01_a_hundred_rate_limits_are_no_strike() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = fails(429, retry_after="0")
    for turn in range(100):
        house.clock.now += 1
        await house.ask(f"prompt {turn}")
    assert house.condition("a", "one").breaker.closed


async def test_the_only_target_is_waited_for_and_asked_again() -> None:
    house = House({"model": "one"})
    house.a.does = in_turn(fails(429, retry_after="2"), well)
    began = house.clock.now
    assert await house.served_by() == "a"
    assert 2 <= house.clock.now - began <= 2.3
    assert house.verdicts == ["waited", "failed over"]


async def test_a_wait_that_ends_behind_the_deadline_is_not_begun() -> None:
    house = House({"model": "one"})
    house.a.does = fails(429, b'{"error":{"message":"slow down"}}', retry_after="5")
    began = house.clock.now
    error = await house.failure(deadline=5.0)
    assert isinstance(error, UpstreamBusy)
    assert (error.retry_after, house.clock.now) == (5.0, began)
    error = await house.failure(deadline=5.0)
    assert isinstance(error, AllProvidersDown)
    assert error.retry_after == pytest.approx(5.0)


async def test_a_short_pause_is_waited_for_by_all() -> None:
    house = House({"model": "one"})
    house.a.does = fails(429, retry_after="5")
    await house.failure(deadline=1.0)
    house.a.does = well
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(50)]
    await house.clock.advance(4.9)
    assert not any(task.done() for task in asking)
    await house.clock.advance(0.7)
    assert [(await task).answered.provider for task in asking] == ["a"] * 50
    assert [each.granted for _, each in house.health.budgets()] == [0], "all are first tries"


async def test_few_wait_for_a_long_pause_and_the_others_hear_when_it_is_over() -> None:
    house = House({"model": "one"})
    house.a.does = fails(429, retry_after="30")
    await house.failure(deadline=1.0)
    house.a.does = well
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(50)]
    await house.clock.advance(0)
    assert sum(task.done() for task in asking) >= 25
    await house.clock.advance(40)
    results = await asyncio.gather(*asking, return_exceptions=True)
    served = [each for each in results if isinstance(each, Whole)]
    refused = [each for each in results if isinstance(each, AllProvidersDown)]
    assert len(served) + len(refused) == 50
    assert 20 <= len(served) <= 25
    assert all(29 < (each.retry_after or 0) <= 30 for each in refused)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_f04_a_refused_key_is_sidelined_with_all_its_models(status: int) -> None:
    house = House({"model": "plain"}, {"model": "two"}, {"model": "one"})
    house.b.does = fails(status)
    assert await house.served_by() == "a"
    assert house.asked == ["b", "a"], "the other model of that key is not even asked"
    assert await house.served_by() == "a"
    assert house.asked == ["a"]
    assert not house.condition("b", "two").key.closed
    assert house.condition("b", "two").breaker.closed
    assert house.news == [("denied", "b", "upstream_denied")]


async def test_f04_a_key_that_is_refused_alone_says_so() -> None:
    house = House({"model": "one"})
    house.a.does = fails(401)
    assert isinstance(await house.failure(), UpstreamDenied)
    error = await house.failure()
    assert isinstance(error, AllProvidersDown)
    assert 4 < (error.retry_after or 0) < 6
    house.a.does = well
    house.clock.now += 6
    assert await house.served_by() == "a"
    assert house.condition("a", "one").key.closed
    assert ("restored", "a") in house.news


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_f04_what_is_wrong_with_the_request_is_returned_as_it_is(status: int) -> None:
    house = House()
    house.a.does = fails(status, b'{"error":{"message":"no such parameter"}}')
    for turn in range(50):
        error = await house.failure(f"prompt {turn}")
        assert isinstance(error, UpstreamRefused)
        assert error.body == b'{"error":{"message":"no such parameter"}}'
        assert house.asked == ["a"]
    assert house.condition("a", "one").breaker.closed


def poisoned(call: Call) -> BaseException | None:
    return broken("upstream_reset") if b"poison" in call.request.body else None


async def test_f05_a_poisoned_request_opens_nobodys_breaker_and_is_quarantined() -> None:
    """One tenant sends it 1,000 times; others go on all the while."""
    house = House()
    for actor in house.actors.values():
        actor.does = poisoned
    met, held = 0, 0
    for turn in range(1_000):
        house.clock.now += 0.01
        assert await house.served_by(f"hello {turn}", tenant="good") == "a"
        # The second and third targets answer others too, as targets in use do.
        for at in (("b", "two"), ("c", "three")):
            house.condition(*at).answered(house.clock.now, "good")
        error = await house.failure("poison", tenant="bad")
        assert error.code == "upstream_reset"
        met += len(house.asked)
        held += house.verdicts == ["quarantined"]
        assert error.held == (house.verdicts == ["quarantined"])
    assert met <= 3
    assert held == 999
    for provider, model in (("a", "one"), ("b", "two"), ("c", "three")):
        assert house.condition(provider, model).breaker.closed
    house.clock.now += 61
    await house.failure("poison", tenant="bad")
    assert "quarantined" not in house.verdicts
    assert await house.served_by("something else", tenant="bad") == "a"


async def test_f05_a_thousand_different_poisons_of_one_tenant_open_nothing_either() -> None:
    house = House({"model": "one"}, {"model": "two"})
    for actor in house.actors.values():
        actor.does = poisoned
    for turn in range(1_000):
        house.clock.now += 0.05
        for other in ("good", "fine"):
            await house.ask(f"hello {turn}", tenant=other)
        house.condition("b", "two").answered(house.clock.now, "good")
        await house.failure(f"poison {turn}", tenant="bad")
    assert house.condition("a", "one").breaker.closed
    assert house.condition("b", "two").breaker.closed


async def test_f05_poisons_of_one_tenant_do_not_open_a_standby_that_nobody_else_uses() -> None:
    house = House({"model": "one"}, {"model": "two"})
    for actor in house.actors.values():
        actor.does = poisoned
    for turn in range(1_000):
        house.clock.now += 0.05
        await house.ask(f"hello {turn}", tenant="good")
        await house.failure(f"poison {turn}", tenant="bad")
    assert len(house.b.calls) > 100
    assert house.condition("a", "one").breaker.closed
    assert house.condition("b", "two").breaker.closed


async def test_f05_a_broken_target_opens_though_one_tenant_sends_one_prompt_only() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    for _ in range(40):
        house.clock.now += 1
        assert await house.served_by("the same each time") == "b"
    assert not house.condition("a", "one").breaker.closed


async def test_f11_after_the_first_token_nobody_else_is_asked() -> None:
    house = House()
    house.a.does = lambda call: [STREAM[0], StreamCut("cut")]
    stream = await house.stream()
    with pytest.raises(StreamCut):
        await read(stream)
    assert house.asked == ["a"]
    assert house.b.calls == []
    condition = house.condition("a", "one")
    assert condition.outstanding == 0
    assert condition.record.good == pytest.approx(condition.record.tries - 1)


async def test_f11_streams_that_break_again_and_again_open_the_breaker() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = lambda call: [STREAM[0], StreamCut("cut")]
    for turn in range(40):
        stream = await house.stream(f"prompt {turn}")
        if stream.answered.provider == "b":
            break
        with pytest.raises(StreamCut):
            await read(stream)
    assert not house.condition("a", "one").breaker.closed


async def test_f12_a_target_that_cannot_do_it_is_skipped_with_a_reason() -> None:
    house = House({"model": "plain"}, {"model": "one"})
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert await house.served_by(tools=tools) == "a"
    assert (house.asked, house.route) == (["a"], "failover: plain lacks tools")
    assert house.b.calls == []
    assert await house.served_by() == "b"


async def test_f12_where_no_target_can_it_is_the_callers_fault() -> None:
    house = House({"model": "plain"})
    error = await house.failure(tools=[{"type": "function", "function": {"name": "f"}}])
    assert isinstance(error, CapabilityMissing)
    assert (error.status, error.param, house.asked) == (400, "tools", [])


async def test_f12_a_prompt_goes_where_it_fits() -> None:
    house = House({"model": "three"}, {"model": "two"})
    long = "word " * 2_000
    assert await house.served_by(long) == "b"
    assert house.route == "failover: three lacks context"
    error = await House({"model": "three"}).failure(long)
    assert (type(error), error.param) == (CapabilityMissing, "messages")


async def test_p4_a_storm_of_failures_is_bound_by_the_budget() -> None:
    house = House()
    for actor in house.actors.values():
        actor.does = fails(500)
    tried = 0
    for turn in range(15):
        await house.failure(f"prompt {turn}")
        tried += len(house.asked)
    assert tried <= 1.10 * 15 + 30
    assert house.verdicts == ["gave up: retry budget spent"]
