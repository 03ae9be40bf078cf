"""What a request held is charged or given back in every way that it can end."""

import asyncio
from contextlib import suppress

import pytest

from gateway.core.catalogue import Target
from gateway.core.errors import StreamCut, UpstreamBroken, UpstreamBusy, UpstreamTimeout
from gateway.core.exchange import Route
from gateway.core.reply import Usage
from tests.fakes.limited import MODELS, LimitedHouse
from tests.fakes.relay import STREAM, read

BUDGET = {"cost": 1.0, "each": "day"}
REQUESTS = {"requests": 2, "every": "1m"}


async def test_a_request_that_no_provider_was_asked_for_costs_nothing_at_all() -> None:
    house = LimitedHouse(REQUESTS, BUDGET)
    house.provider.error = UpstreamBroken("x", code="upstream_refused_connection")
    await house.failure()
    assert [counter.level for counter in house.counters.values()] == [0.0, 0.0]
    assert [counter.held + counter.spent for counter in house.counters.values()] == [0, 0]
    assert house.leases == 0


async def test_an_error_that_a_provider_answers_with_costs_a_request_and_no_tokens() -> None:
    house = LimitedHouse(REQUESTS, BUDGET)
    house.provider.error = UpstreamBusy("later", status=429)
    await house.failure()
    requests, money = house.counters.values()
    assert requests.level == pytest.approx(1)
    assert (money.spent, money.held) == (0, 0)
    assert house.charge.counted == "nothing"


@pytest.mark.parametrize(
    "error", [UpstreamTimeout("x"), UpstreamBroken("x", code="upstream_reset"), ValueError("bug")]
)
async def test_a_provider_that_may_have_worked_is_charged_as_reserved(error: Exception) -> None:
    house = LimitedHouse(BUDGET)
    house.provider.error = error
    with pytest.raises(type(error)):
        await house.ask(max_tokens=100)
    assert (house.counter.spent, house.counter.held) == (5 + 1000, 0)
    assert house.charge.counted == "reserved"


async def test_a_caller_who_leaves_before_the_answer_is_charged_as_reserved() -> None:
    house = LimitedHouse(BUDGET)
    house.provider.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await house.ask(max_tokens=100)
    assert (house.counter.spent, house.counter.held, house.leases) == (1005, 0, 0)


async def test_a_stream_that_is_left_is_charged_for_what_passed() -> None:
    house = LimitedHouse(BUDGET)
    house.provider.usage = None
    stream = await house.stream(max_tokens=1000)
    for _ in range(2):
        await anext(stream.blocks)
    await stream.blocks.aclose()
    assert house.charge.counted == "relayed"
    assert (house.counter.spent, house.counter.held) == (5 + 2 * 10, 0)


async def test_a_stream_that_breaks_is_charged_for_what_passed() -> None:
    house = LimitedHouse(BUDGET)
    house.provider.usage = None
    house.provider.steps = [*STREAM[:2], StreamCut("cut")]
    stream = await house.stream()
    with pytest.raises(StreamCut):
        await read(stream)
    assert (house.counter.spent, house.counter.held) == (25, 0)


@pytest.mark.parametrize("usage", [None, Usage(input=3, output=4)])
@pytest.mark.parametrize("taken", [0, 1, 2, None])
@pytest.mark.parametrize("cut", [False, True])
async def test_a_lowered_reservation_is_charged_as_the_ledger_tells_it(
    usage: Usage | None, taken: int | None, *, cut: bool
) -> None:
    """However the stream ends: left at once or later, broken, or told to its end."""
    house = LimitedHouse(BUDGET)
    house.provider.usage = usage
    if cut:
        house.provider.steps = [*STREAM[:2], StreamCut("cut")]
    targets = tuple(Target(MODELS[name]) for name in ("fast", "dear"))
    stream = await house.stream(max_tokens=100, route=Route(targets))
    assert house.counter.held == 5 + 100 * 10  # of 50 + 100 * 100
    with suppress(StreamCut):
        if taken is None:
            await read(stream)
        for _ in range(taken or 0):
            await anext(stream.blocks)
    await stream.blocks.aclose()
    assert house.charge.counted in {"provider", "relayed"}
    assert (house.counter.spent, house.counter.held) == (house.charge.amounts.micro_dollars, 0)
    assert 0 < house.counter.spent < 1005


async def test_c12_usage_of_nothing_is_believed() -> None:
    house = LimitedHouse(BUDGET)
    house.provider.usage = Usage()
    await house.whole(max_tokens=100)
    assert (house.counter.spent, house.counter.held) == (0, 0)


@pytest.mark.parametrize("usage", [None, Usage(output=3, doubtful=True)])
async def test_c12_usage_that_is_missing_or_absurd_is_what_passed(usage: Usage | None) -> None:
    house = LimitedHouse(BUDGET)
    house.provider.usage = usage
    house.provider.body = b"x" * 500
    await house.whole(max_tokens=1000)
    assert house.charge.counted == "relayed"
    assert (house.counter.spent, house.counter.held) == (5 + 100 * 10, 0)


async def test_c12_usage_below_what_passed_is_believed() -> None:
    house = LimitedHouse(BUDGET)
    house.provider.usage = Usage(input=1, output=1)
    await read(await house.stream(max_tokens=1000))
    assert house.counter.spent == 11
