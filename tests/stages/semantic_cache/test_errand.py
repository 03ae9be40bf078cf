"""Equal requests at the same time, stale answers, and providers that fail."""

import asyncio
import json

import pytest

from gateway.core.charge import charge_of
from gateway.core.errors import UpstreamBroken, UpstreamRefused
from gateway.core.exchange import Exchange
from gateway.core.notes import Attempted, Cached, Queued, Routed
from gateway.core.outcome import gather
from gateway.core.reply import Block, Reply, Stream, Whole
from gateway.core.sse import DONE
from gateway.stages.relay import RelayPolicy
from tests.fakes.cached import ASK, CachedHouse
from tests.fakes.clock import settle
from tests.fakes.relay import STREAM, chunk, nowhere, read

BROKEN = UpstreamBroken("It broke.")
REFUSED = UpstreamRefused("It said no.", status=400)


def asked_at_once(house: CachedHouse, number: int) -> "list[tuple[Exchange, asyncio.Task[Reply]]]":
    exchanges = [house.exchange(ASK) for _ in range(number)]
    return [(each, asyncio.create_task(_run(house, each))) for each in exchanges]


async def _run(house: CachedHouse, exchange: Exchange) -> Reply:
    return await house.chain(exchange)


def paid(exchange: Exchange) -> int | None:
    return charge_of(gather(exchange.notes)).amounts.micro_dollars


def cached(exchange: Exchange) -> Cached:
    note = exchange.notes.last(Cached)
    assert note is not None
    return note


async def test_b08_a_hundred_equal_requests_are_one_call() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    asked = asked_at_once(house, 100)
    await settle()
    house.provider.gate.set()
    replies = await asyncio.gather(*(task for _, task in asked))
    assert house.calls == 1
    assert (
        len({json.loads(reply.body)["id"] for reply in replies if isinstance(reply, Whole)}) == 100
    )
    results = [(cached(each).result, cached(each).reason) for each, _ in asked]
    assert results == [("miss", "")] + [("hit-exact", "coalesced")] * 99
    assert [paid(each) for each, _ in asked] == [170] + [0] * 99
    assert len(house.cache.flights) == 0
    waited = [each.notes.last(Queued) for each, _ in asked]
    assert [note is not None for note in waited] == [False] + [True] * 99


async def test_b08_when_the_leader_fails_one_is_promoted() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    house.provider.fail = [BROKEN]
    asked = asked_at_once(house, 100)
    await settle()
    house.provider.gate.set()
    replies = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
    assert house.calls == 2
    failed = [reply for reply in replies if isinstance(reply, BaseException)]
    assert [(type(error), str(error)) for error in failed] == [(UpstreamBroken, "It broke.")]


async def test_after_two_promotions_in_vain_everybody_goes_alone() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    house.provider.fail = [BROKEN, BROKEN, BROKEN]
    asked = asked_at_once(house, 10)
    await settle()
    house.provider.gate.set()
    replies = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
    assert sum(isinstance(reply, Whole) for reply in replies) == 7
    assert house.calls == 10


async def test_b08_when_the_leaders_client_leaves_its_call_goes_on_and_is_paid_once() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    asked = asked_at_once(house, 10)
    await settle()
    leader, task = asked[0]
    task.cancel()
    await settle()
    assert task.cancelled()
    house.provider.gate.set()
    replies = await asyncio.gather(*(task for _, task in asked[1:]))
    assert house.calls == 1
    assert house.provider.cancelled == 0
    assert all(isinstance(reply, Whole) for reply in replies)
    assert [paid(each) for each, _ in asked] == [0, 170] + [0] * 8
    assert cached(asked[1][0]).reason == "took_over"
    assert leader.notes.all(Attempted) == []


async def test_when_everybody_leaves_the_call_ends_and_the_leader_knows_of_it() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    asked = asked_at_once(house, 3)
    await settle()
    for _, task in asked[1:] + asked[:1]:
        task.cancel()
        await settle()
    assert house.provider.cancelled == 1
    (attempt,) = asked[0][0].notes.all(Attempted)
    assert attempt.code == "cancelled"
    assert len(house.cache.flights) == 0


async def test_an_answer_that_may_not_be_shared_sends_everybody_on() -> None:
    house = CachedHouse()
    house.provider.body = house.provider.body.replace(b'"stop"', b'"length"')
    house.provider.gate.clear()
    asked = asked_at_once(house, 5)
    await settle()
    house.provider.gate.set()
    await asyncio.gather(*(task for _, task in asked))
    assert house.calls == 5
    assert cached(asked[4][0]).reason == "alone"


async def test_a_stream_flows_on_while_others_wait_for_the_whole_of_it() -> None:
    house = CachedHouse()
    first = await house.ask(stream=True)
    assert isinstance(first, Stream)
    others = house.asking(3) + house.asking(3, stream=True)
    await settle()
    assert not any(task.done() for task in others)
    blocks = [block async for block in first.blocks]
    assert blocks[-1] == DONE
    replies = await asyncio.gather(*others)
    assert house.calls == 1
    for reply in replies[:3]:
        assert isinstance(reply, Whole)
        assert json.loads(reply.body)["choices"][0]["message"]["content"] == "hello"
        assert json.loads(reply.body)["usage"]["total_tokens"] == 107
    for reply in replies[3:]:
        assert isinstance(reply, Stream)
        assert b'"content":"hello"' in await read(reply)


async def test_a_stream_whose_client_leaves_is_not_kept_and_another_is_promoted() -> None:
    house = CachedHouse()
    first = await house.ask(stream=True)
    assert isinstance(first, Stream)
    await first.blocks.__anext__()
    others = house.asking(2)
    await settle()
    await first.blocks.aclose()
    replies = await asyncio.gather(*others)
    assert all(isinstance(reply, Whole) for reply in replies)
    assert house.calls == 2


@pytest.mark.parametrize(
    ("why", "steps"),
    [
        ("cut", [*STREAM[:2], UpstreamBroken("cut")]),
        ("unfinished", [*STREAM[:2], chunk({}, "length"), DONE]),
        (
            "tool_call",
            [chunk({"tool_calls": [{"index": 0, "id": "t"}]}), chunk({}, "tool_calls"), DONE],
        ),
        ("large", [chunk({"content": "word " * 250_000}), chunk({}, "stop"), DONE]),
    ],
)
async def test_a_stream_that_ends_otherwise_is_not_kept_and_the_log_hears_why(
    why: str, steps: list[object]
) -> None:
    house = CachedHouse()
    for _ in range(2):
        house.provider.steps = steps  # type: ignore[assignment]  # steps of all kinds
        try:
            await house.stream()
        except UpstreamBroken:
            await settle()
        assert house.result == ("miss", "")
        assert house.cached.unstored == why
    assert house.calls == 2
    assert house.cache.events["refused", why] == 2


async def test_a_stream_of_unknown_usage_is_not_kept_and_the_log_hears_why() -> None:
    house = CachedHouse()
    house.provider.usage = None
    house.provider.steps = [chunk({"content": "hello"}), chunk({}, "stop"), DONE]
    for _ in range(2):
        await house.stream()
        assert (house.result, house.cached.unstored) == (("miss", ""), "no_usage")
    assert house.cache.events["refused", "no_usage"] == house.calls == 2


async def test_a_stream_of_a_fallback_is_not_even_gathered() -> None:
    house = CachedHouse()

    async def elsewhere(exchange: Exchange, _: object) -> Reply:
        exchange.notes.add(Routed("slow", "acme", "failover: acme is full", fallback=True))
        return await relay(exchange, nowhere)

    relay = RelayPolicy().build(house.tools)
    house.use(elsewhere)
    await house.stream()
    assert house.cached.unstored == "fallback"
    assert len(house.cache.shelf) == 0


async def test_why_an_answer_is_not_stored_is_known_before_it_leaves() -> None:
    house = CachedHouse()
    await house.whole()
    assert house.cached.unstored == ""
    house.provider.body = house.provider.body.replace(b'"stop"', b'"length"')
    await house.whole(seed=1)
    assert (house.result, house.cached.unstored) == (("miss", ""), "unfinished")
    await house.whole(headers={"x-turnout-cache": "refresh"})
    assert (house.result, house.cached.unstored) == (("bypass", "refresh"), "unfinished")


async def test_a_stream_that_makes_no_sense_as_a_whole_is_counted() -> None:
    house = CachedHouse()
    house.provider.steps = [*STREAM[:2], Block(b"data: {\n\n"), *STREAM[2:]]
    await house.stream()
    assert house.cache.events["refused", "garbage"] == 1


async def test_stale_is_served_while_a_new_answer_is_fetched_once() -> None:
    house = CachedHouse(ttl=60, stale_while_revalidate=30)
    await house.whole()
    house.clock.now += 61
    for _ in range(3):
        await house.whole()
        assert house.result == ("hit-exact", "stale")
    await settle()
    assert len(house.renewals) == 1
    assert house.calls == 2
    await house.whole()
    assert house.result == ("hit-exact", "")


async def test_stale_is_served_where_the_provider_fails() -> None:
    house = CachedHouse(ttl=60, stale_if_error=600)
    await house.whole()
    house.clock.now += 61
    house.provider.fail = [BROKEN]
    answer = await house.whole()
    assert answer["choices"][0]["message"]["content"] == "Paris."
    assert house.result == ("hit-exact", "stale_if_error")
    assert house.calls == 2


async def test_stale_is_no_answer_to_a_request_that_the_provider_refuses() -> None:
    house = CachedHouse(ttl=60, stale_if_error=600)
    await house.whole()
    house.clock.now += 61
    house.provider.fail = [REFUSED]
    assert str(await house.failure()) == str(REFUSED)


async def test_a_refresh_waits_for_nobody() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    first = house.asking(1)
    await settle()
    second = house.asking(1, headers={"x-turnout-cache": "refresh"})
    await settle()
    assert house.calls == 2
    house.provider.gate.set()
    await asyncio.gather(*first, *second)


async def test_who_takes_over_a_whole_answer_and_wanted_a_stream_gets_one() -> None:
    house = CachedHouse()
    house.provider.gate.clear()
    (leader,) = house.asking(1)
    await settle()
    (heir,) = house.asking(1, stream=True)
    await settle()
    leader.cancel()
    await settle()
    house.provider.gate.set()
    reply = await heir
    assert isinstance(reply, Stream)
    assert b"Paris." in await read(reply)
    assert house.calls == 1


async def test_a_stream_that_was_asked_anew_takes_the_place_of_the_old_answer() -> None:
    house = CachedHouse()
    await house.whole()
    await house.stream(headers={"cache-control": "no-cache"})
    answer = await house.whole()
    assert answer["choices"][0]["message"]["content"] == "hello"
    assert house.calls == 2
