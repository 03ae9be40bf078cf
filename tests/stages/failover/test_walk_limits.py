"""One deadline, one cost ceiling, typed fallbacks, targets' own settings and first tokens."""

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.capacity import Concurrency
from gateway.core.catalogue import Target
from gateway.core.errors import (
    BadRequest,
    Forbidden,
    Overloaded,
    StreamCut,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.exchange import Route
from gateway.core.reply import Stream
from tests.fakes.failover import MODELS, House, breaks, fails
from tests.fakes.relay import STREAM, read

# --- one deadline, one ceiling -------------------------------------------------------------------


async def test_the_policys_deadline_bounds_the_chain() -> None:
    house = House(deadline=3)
    house.a.does = lambda call: 10.0
    await house.ask()
    assert house.a.calls[0].deadline == house.clock.now - 10 + 3
    house.a.does, house.a.takes = fails(500), 4.0
    error = await house.failure()
    assert (error.code, house.asked, house.verdicts) == (
        "upstream_broken",
        ["a"],
        ["gave up: deadline"],
    )


async def test_the_callers_deadline_wins_when_it_is_shorter() -> None:
    house = House(deadline=300)
    await house.ask(deadline=2.0)
    assert house.a.calls[0].deadline == house.clock.now + 2


async def test_targets_over_the_cost_ceiling_are_skipped() -> None:
    house = House()
    assert await house.served_by(max_tokens=1_000, max_cost=5_000) == "b"
    assert house.route == "failover: one lacks cost"
    error = await house.failure(max_tokens=1_000, max_cost=10)
    assert isinstance(error, BadRequest)
    assert (error.code, error.param) == ("max_cost_exceeded", "x-turnout-max-cost")
    assert house.asked == []


async def test_input_that_may_be_written_into_a_providers_cache_is_counted_at_that_price() -> None:
    """Claude takes twice the price of plain input for what it keeps an hour."""
    house = House({"model": "kept"}, {"model": "two"})
    asked: Any = {"content": "word " * 800, "max_tokens": 1, "max_cost": 1_500}
    marks: Any = {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}
    assert await house.served_by(**asked) == "a"
    assert await house.served_by(**asked, **marks) == "b"
    exchange = replace(house.exchange(**asked), prompt_cache="1h")
    await house.chain(exchange)
    assert house.route == "failover: kept lacks cost"


async def test_the_policys_ceiling_holds_too_and_an_unknown_price_is_above_any() -> None:
    house = House({"model": "three"}, {"model": "two"}, max_cost=0.002)
    assert await house.served_by(max_tokens=1_000) == "b"
    assert isinstance(await house.failure(max_tokens=1_000, max_cost=500), BadRequest)


async def test_what_broke_while_it_was_gathered_counts_for_the_ceiling() -> None:
    house = House({"model": "two"}, {"model": "one"}, mode="buffered")
    house.b.does = lambda _: [STREAM[0], StreamCut("cut")]
    assert await house.served_by(max_tokens=1_000, max_cost=10_100) == "a"
    error = await house.failure(max_tokens=1_000, max_cost=10_010)
    assert (error.code, house.asked) == ("upstream_truncated", ["b"])


# --- typed fallbacks -----------------------------------------------------------------------------

TOO_LONG = b'{"error":{"code":"context_length_exceeded","message":"too long"}}'
FILTERED = b'{"error":{"code":"content_filter","message":"no"}}'


@pytest.mark.parametrize(
    ("field", "body"), [("on_context_window", TOO_LONG), ("on_content_policy", FILTERED)]
)
async def test_a_typed_refusal_goes_where_the_policy_sends_it(field: str, body: bytes) -> None:
    fallback: Any = {field: [{"model": "two"}]}
    house = House({"model": "one"}, **fallback)
    house.a.does = fails(400, body)
    assert await house.served_by() == "b"
    assert house.route == f"failover: a {field.removeprefix('on_')}"
    other = House({"model": "one"}, {"model": "two"})
    other.a.does = fails(400, body)
    assert isinstance(await other.failure(), UpstreamRefused)


async def test_a_typed_refusal_everywhere_is_returned_in_the_providers_words() -> None:
    house = House({"model": "one"}, on_context_window=[{"model": "two"}])
    house.a.does = house.b.does = fails(400, TOO_LONG)
    error = await house.failure()
    assert isinstance(error, UpstreamRefused)
    assert (error.body, house.asked) == (TOO_LONG, ["a", "b"])


# --- targets -------------------------------------------------------------------------------------


async def test_parameters_of_a_target_are_set_for_it_alone() -> None:
    house = House({"model": "one", "params": {"temperature": 0, "seed": None}}, {"model": "two"})
    house.a.does = breaks()
    await house.ask(seed=7, temperature=1)
    sent = json.loads(house.a.calls[0].request.body)
    assert (sent["temperature"], "seed" in sent) == (0, False)
    sent = json.loads(house.b.calls[0].request.body)
    assert (sent["temperature"], sent["seed"]) == (1, 7)


async def test_a_target_may_be_for_some_tenants_only() -> None:
    house = House({"model": "one", "tenants": ["gold-*"]}, {"model": "two"})
    assert await house.served_by(tenant="gold-1") == "a"
    assert await house.served_by(tenant="iron") == "b"
    closed = House({"model": "one", "tenants": ["gold"]})
    assert isinstance(await closed.failure(tenant="iron"), Forbidden)


async def test_a_tenants_list_of_models_holds_for_fallbacks() -> None:
    listed = frozenset({"one", "default"})
    house = House({"model": "one"}, {"model": "two"}, on_context_window=[{"model": "three"}])
    assert await house.served_by(models=listed) == "a"
    house.a.does = breaks()
    await house.failure(models=listed)
    assert (house.asked, house.route) == (["a"], "ordered")
    house.a.does = fails(400, TOO_LONG)
    await house.failure(models=listed)
    assert house.asked == ["a"]
    other = House({"model": "two"}, {"model": "one"})
    assert await other.served_by(models=listed) == "a"
    assert other.route == "failover: two lacks tenant"
    error = await House({"model": "two"}).failure(models=listed)
    assert (error.status, error.code) == (403, "model_not_allowed")


async def test_an_alias_on_a_tenants_list_leads_where_the_policy_says() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = breaks()
    names: Any = {"models": frozenset({"default", "one"}), "aliases": frozenset({"default"})}
    assert await house.served_by(model="default", **names) == "b"
    await house.failure(model="one", **names)
    assert house.asked == ["a"]


async def test_another_key_of_the_model_that_is_asked_for() -> None:
    house = House({}, {"provider": "spare"})
    house.a.does = breaks()
    reply = await house.ask(model="default")
    assert (reply.answered.provider, reply.answered.model) == ("spare", "one")
    assert house.a.calls[0].target.chosen
    await house.ask(model="one")
    assert not house.a.calls[-1].target.chosen


async def test_a_route_that_another_stage_chose_is_the_first_target() -> None:
    house = House({}, {"model": "two"})
    await house.ask(route=Route((Target(MODELS["three"], chosen=True),)))
    assert house.asked == ["c"]


# --- first token ---------------------------------------------------------------------------------


async def test_e05_a_silent_stream_is_followed_by_the_next_target() -> None:
    house = House({"model": "one", "first_token": 4}, {"model": "two"})
    house.a.does = lambda call: 100.0
    began = house.clock.now
    stream = await house.stream()
    assert stream.answered.provider == "b"
    assert house.clock.now - began == 4
    assert await read(stream) == b"".join(STREAM)


async def test_what_is_usual_shortens_the_wait() -> None:
    house = House({"model": "one", "first_token": 30}, {"model": "two"})
    house.a.takes = 0.5
    for turn in range(30):
        await read(await house.stream(f"prompt {turn}"))
    house.a.does = lambda call: 100.0
    began = house.clock.now
    assert (await house.stream()).answered.provider == "b"
    assert house.clock.now - began == pytest.approx(1.5, rel=0.15)


async def test_a_slow_time_makes_it_patient_again() -> None:
    house = House({"model": "one", "first_token": 30}, {"model": "two"})
    house.a.takes = 0.5
    for turn in range(30):
        await read(await house.stream(f"prompt {turn}"))
    house.a.takes = 4.0
    served = []
    for turn in range(10):
        stream = await house.stream(f"later {turn}")
        await read(stream)
        served.append(stream.answered.provider)
    assert served[-1] == "a"


async def test_when_all_are_silent_the_timeout_is_told() -> None:
    house = House({"model": "one", "first_token": 2}, {"model": "two", "first_token": 2})
    house.a.takes = house.b.takes = 60.0
    error = await house.failure(stream=True)
    assert isinstance(error, UpstreamTimeout)
    assert error.status == 504


# --- slots ---------------------------------------------------------------------------------------


async def test_f13_what_a_full_target_cannot_take_goes_to_the_next() -> None:
    rules = {"a": Concurrency(max=2, adaptive=False)}
    house = House({"model": "one"}, {"model": "two"}, rules=rules)
    house.a.takes = house.b.takes = 5.0
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(5)]
    await house.clock.advance(6)
    served = [reply.answered.provider for reply in await asyncio.gather(*asking)]
    assert sorted(served) == ["a", "a", "b", "b", "b"]
    assert house.route == "failover: a is full"
    assert [each.granted for _, each in house.health.budgets()] == [0], "nobody was asked twice"


async def test_where_all_are_full_a_slot_is_waited_for() -> None:
    rules = {name: Concurrency(max=1, adaptive=False) for name in "ab"}
    house = House({"model": "one"}, {"model": "two"}, rules=rules)
    house.a.takes, house.b.takes = 2.0, 9.0
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(3)]
    await house.clock.advance(10)
    served = [reply.answered.provider for reply in await asyncio.gather(*asking)]
    assert sorted(served) == ["a", "a", "b"]


async def test_waiting_for_a_slot_is_not_waiting_for_a_first_token() -> None:
    rules = {"a": Concurrency(max=1, adaptive=False)}
    house = House({"model": "one", "first_token": 3}, rules=rules)
    house.a.takes = 2.5
    asking = [
        asyncio.ensure_future(house.chain(house.exchange(str(n), stream=True))) for n in range(2)
    ]
    await house.clock.advance(2.6)
    first = await asking[0]
    assert isinstance(first, Stream)
    await read(first)
    await house.clock.advance(2.6)
    assert (await asking[1]).answered.provider == "a"


async def test_a_queue_that_is_full_leads_to_the_next_and_then_says_so() -> None:
    rules = {name: Concurrency(max=1, adaptive=False, queue=0) for name in "ab"}
    house = House({"model": "one"}, {"model": "two"}, rules=rules)
    house.a.takes = house.b.takes = 5.0
    asking = [asyncio.ensure_future(house.chain(house.exchange(str(n)))) for n in range(3)]
    await house.clock.advance(6)
    results = await asyncio.gather(*asking, return_exceptions=True)
    [refused] = [each for each in results if isinstance(each, Overloaded)]
    assert refused.retry_after is not None
    assert house.condition("a", "one").record.tries == 1
