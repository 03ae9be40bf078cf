"""The `rate_limit` stage: reserved before, settled after, in every way that a request can end."""

from typing import Any

from msgspec.structs import replace

from gateway.core.catalogue import Target
from gateway.core.errors import (
    Forbidden,
    UnknownModel,
)
from gateway.core.exchange import Route
from gateway.core.limits import LimitRule
from gateway.core.notes import Demand, Limited
from gateway.core.stage import compose
from gateway.core.windows import zone_of
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.relay import RelayPolicy
from tests.fakes.limited import ALICE, BOB, MODELS, LimitedHouse
from tests.fakes.relay import nowhere, read

DAY: dict[str, Any] = {"each": "day"}
BUDGET = {"cost": 1.0, **DAY}
zone_of("Europe/Berlin")  # read from disk once, as `check` does before a loop runs
REQUESTS = {"requests": 2, "every": "1m"}


async def test_requests_beyond_a_rate_are_429_and_say_when_to_come_back() -> None:
    house = LimitedHouse(REQUESTS)
    await house.whole()
    await house.whole()
    error = await house.refused()
    assert (error.status, error.code, error.kind) == (429, "rate_limit_exceeded", "requests")
    assert error.retry_after is not None
    assert 26 <= error.retry_after <= 26 * 1.4
    assert error.public.startswith("The limit `2 requests per tenant every 1m` is reached. Try")
    assert house.verdict == "refused"
    assert len(house.provider.calls) == 2
    await house.whole(caller=BOB)


async def test_money_is_held_at_the_most_it_may_cost_and_charged_at_what_it_did() -> None:
    house = LimitedHouse(BUDGET)
    stream = await house.stream(max_tokens=1000)
    assert house.counter.held == 5 * 1 + 1000 * 10
    await read(stream)
    assert (house.counter.spent, house.counter.held) == (100 * 1 + 7 * 10, 0)
    assert house.charge.counted == "provider"
    assert house.leases == 0


async def test_a_spent_budget_is_429_budget_exceeded_and_not_worth_another_try() -> None:
    house = LimitedHouse({"cost": 0.0002, "each": "day", "zone": "Europe/Berlin"})
    await house.whole(max_tokens=1)
    error = await house.refused(max_tokens=10)
    assert (error.code, error.kind, error.retry_after) == (
        *("budget_exceeded", "insufficient_quota"),
        None,
    )
    assert error.public == (
        "The budget `$0.0002 per tenant each day in Europe/Berlin` has no room left for the "
        "$0.000105 asked for. It is new at 2023-11-15T00:00:00+01:00."
    )


async def test_a_budget_that_requests_under_way_hold_is_worth_another_try() -> None:
    house = LimitedHouse({"output_tokens": 100, "each": "hour"})
    stream = await house.stream(max_tokens=80)
    error = await house.refused(max_tokens=80)
    assert error.code == "budget_exceeded"
    assert error.retry_after is not None
    assert 1 <= error.retry_after <= 1.4
    await read(stream)
    await house.whole(max_tokens=80)


async def test_what_no_waiting_makes_room_for_says_so() -> None:
    house = LimitedHouse({"tokens": 100, "each": "hour"})
    error = await house.refused(max_tokens=200)
    assert error.retry_after is None
    assert error.public == (
        "This request may need 205 tokens, and the limit `100 tokens per tenant each hour` never "
        "has more than 100 tokens. Send less, or ask for less output."
    )


async def test_a_wait_of_more_than_a_minute_is_not_worth_another_try() -> None:
    house = LimitedHouse({"requests": 1, "every": "2h"})
    await house.whole()
    error = await house.refused()
    assert error.retry_after is None
    assert error.public.endswith("Try again in 2 hours.")


async def test_concurrent_requests_have_their_places_until_they_end() -> None:
    house = LimitedHouse({"concurrent": 1, "per": ["key"]})
    stream = await house.stream()
    await house.refused()
    await stream.blocks.aclose()
    await house.whole()
    assert house.leases == 0


async def test_h04_a_lower_limit_kills_nobody_and_admits_nobody_until_there_is_room() -> None:
    house = LimitedHouse({"concurrent": 10})
    streams = [await house.stream() for _ in range(8)]
    house.use({"concurrent": 5})
    for stream in streams[:4]:
        await house.refused()
        assert (await read(stream)).endswith(b"[DONE]\n\n")
    assert isinstance(await house.stream(), object)
    await house.refused()


async def test_without_a_stated_limit_what_was_learned_is_reserved() -> None:
    house = LimitedHouse({"output_tokens": 100_000, **DAY})
    stream = await house.stream()
    assert house.counter.held == 1024
    await read(stream)
    for _ in range(7):
        await house.whole()
    await house.stream()
    assert house.counter.held == 7


async def test_a_rate_of_tokens_takes_what_is_likely_and_a_budget_what_is_possible() -> None:
    house = LimitedHouse({"tokens": 10_000, "every": "1m"}, {"tokens": 10_000, **DAY})
    await house.stream(max_tokens=5000)
    assert house.left == [10_000 - 1029, 10_000 - 5005]


async def test_a_guess_alone_refuses_nobody() -> None:
    house = LimitedHouse({"tokens": 100, **DAY}, {"output_tokens": 10, "every": 60}, BUDGET)
    await house.stream()
    assert house.left[:2] == [0, 0]


async def test_what_is_not_measured_is_neither_held_nor_an_overrun() -> None:
    house = LimitedHouse(REQUESTS)
    await house.whole(max_tokens=5)
    (limited,) = house.notes.all(Limited)
    assert limited.reserved is None
    house = LimitedHouse({"tokens": 100, **DAY})
    await house.whole(max_tokens=5)
    (limited,) = house.notes.all(Limited)
    assert limited.reserved == Demand(5, 5, None, 5, stated=True)


async def test_embeddings_have_no_output() -> None:
    house = LimitedHouse({"tokens": 100, **DAY})
    house.provider.usage = None
    await house.whole(fields={"model": "fast", "input": "x" * 40}, endpoint="embeddings")
    assert house.counter.spent == 10


async def test_the_dearest_target_is_reserved_and_lowered_when_another_one_answers() -> None:
    house = LimitedHouse(BUDGET)
    targets = tuple(Target(MODELS[name]) for name in ("fast", "dear"))
    stream = await house.stream(max_tokens=100, route=Route(targets))
    assert house.left[0] == 1_000_000 - (50 + 100 * 100)
    assert house.counter.held == 5 + 1000
    await read(stream)
    assert house.counter.held == 0


async def test_a_model_without_a_price_is_refused_where_dollars_count() -> None:
    house = LimitedHouse(BUDGET)
    error = await house.failure(model="unpriced")
    assert isinstance(error, Forbidden)
    assert error.code == "model_without_price"
    assert house.provider.calls == []
    await LimitedHouse(REQUESTS).whole(model="unpriced")


async def test_a_default_price_counts_for_models_without_one() -> None:
    house = LimitedHouse(BUDGET, default_price=MODELS["dear"].price)
    await house.whole(model="unpriced", max_tokens=10)
    assert house.counter.spent == 100 * 10 + 7 * 100


async def test_limits_that_are_only_observed_refuse_nothing_and_say_so() -> None:
    house = LimitedHouse(REQUESTS, enforce=False)
    for verdict in ("admitted", "admitted", "observed"):
        await house.whole()
        assert house.verdict == verdict
    await house.whole(model="unpriced")


async def test_a_tenants_own_limits_count_in_whatever_policy_it_comes() -> None:
    alice = replace(ALICE, limits=(LimitRule(requests=1, every="1m"),))
    house = LimitedHouse()
    await house.whole(caller=alice)
    error = await house.refused(caller=alice)
    assert "1 requests per tenant every 1m" in error.public
    await house.whole(caller=BOB)
    assert house.verdict == "unlimited"


async def test_a_model_that_is_not_served_is_404_and_counts_nowhere() -> None:
    house = LimitedHouse({"requests": 1, "each": "month", "per": ["model"]})
    assert isinstance(await house.failure(model="x" * 200), UnknownModel)
    assert house.counters == {}


async def test_an_alias_and_its_model_share_a_count() -> None:
    house = LimitedHouse({"requests": 1, **DAY, "per": ["model"]})
    await house.whole(model="default")
    await house.refused(model="fast")


async def test_two_blocks_of_a_policy_hold_each_their_own() -> None:
    house = LimitedHouse(REQUESTS)
    blocks = [
        RateLimitPolicy(limits=(LimitRule(concurrent=1),)),
        RateLimitPolicy(limits=(LimitRule(cost=1.0, each="day"),)),
        RelayPolicy(),
    ]
    house.chain = compose([block.build(house.tools) for block in blocks], nowhere)
    stream = await house.stream(max_tokens=10)
    assert house.leases == 2
    await read(stream)
    assert house.leases == 0
    assert sorted(c.spent for c in house.counters.values()) == [0, 170]


async def test_who_is_refused_for_a_guess_is_told_so_and_what_would_fit() -> None:
    house = LimitedHouse({"cost": 0.002, **DAY})
    await house.whole(max_tokens=1)  # 170 of 2000 micro-dollars
    error = await house.refused()
    assert (
        "has no room left for the $0.002 asked for. That is estimated, as the request states no"
        " `max_tokens`; one of 182 tokens fits." in error.public
    )
    (limited,) = house.notes.all(Limited)
    assert limited.estimated
    await house.whole(max_tokens=182)
    await house.refused(max_tokens=183)
    (limited,) = house.notes.all(Limited)
    assert not limited.estimated


async def test_no_stated_limit_helps_where_the_input_alone_has_no_room() -> None:
    house = LimitedHouse({"tokens": 110, **DAY})
    await house.whole(max_tokens=100)  # the provider counts 107
    error = await house.refused()
    assert "That is estimated, as the request states no `max_tokens`. It is new" in error.public
