"""What a request's fate says of its target."""

import asyncio

import pytest

from gateway.core.errors import StreamCut
from tests.fakes.failover import House, fails, well
from tests.fakes.relay import STREAM, read


async def test_a_caller_who_leaves_says_nothing_of_the_target() -> None:
    house = House({"model": "one"})
    house.a.takes = 10.0
    asking = asyncio.ensure_future(house.chain(house.exchange()))
    await house.clock.advance(1)
    assert house.condition("a", "one").outstanding == 1
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    condition = house.condition("a", "one")
    assert (condition.outstanding, condition.record.tries, house.a.cancelled) == (0, 0, 1)


async def test_a_target_that_outlasts_the_deadline_has_failed() -> None:
    house = House({"model": "one"})
    house.a.takes = 10.0
    asking = asyncio.ensure_future(house.chain(house.exchange(deadline=5)))
    await house.clock.advance(5)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (house.condition("a", "one").record.tries, house.condition("a", "one").record.good) == (
        1,
        0,
    )


async def test_a_caller_who_leaves_a_stream_does_not_blame_the_target() -> None:
    house = House({"model": "one"})
    stream = await house.stream()
    await stream.blocks.aclose()
    condition = house.condition("a", "one")
    assert (condition.outstanding, condition.record.good, condition.record.tries) == (0, 1, 1)


async def test_first_tokens_are_learnt_from_streams_and_from_what_is_gathered() -> None:
    house = House({"model": "one"}, mode="buffered")
    house.a.takes = 2.0
    for turn in range(20):
        await house.ask(f"prompt {turn}")
    assert house.condition("a", "one").first_tokens.quantile(0.5) == pytest.approx(2.0, rel=0.1)
    plain = House({"model": "one"})
    plain.a.takes = 2.0
    for turn in range(20):
        await plain.ask(f"prompt {turn}")
    assert plain.condition("a", "one").first_tokens.quantile(0.5) is None
    assert plain.condition("a", "one").speed.seconds == pytest.approx(2.0)


async def test_an_answer_that_breaks_while_it_is_gathered_goes_to_the_next_target() -> None:
    house = House({"model": "one"}, {"model": "two"}, mode="buffered")
    house.a.does = lambda call: [STREAM[0], StreamCut("cut")]
    assert await house.served_by() == "b"
    assert house.condition("a", "one").outstanding == 0


async def test_a_quota_that_is_used_up_sidelines_the_key() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = fails(429, b'{"error":{"code":"insufficient_quota"}}')
    assert await house.served_by() == "b"
    assert not house.condition("a", "one").key.closed
    assert house.news == [("denied", "a", "upstream_quota")]


async def test_an_operator_hears_of_what_opens_and_of_what_serves_again() -> None:
    house = House({"model": "one"}, {"model": "two"})
    house.a.does = fails(500)
    for turn in range(20):
        house.clock.now += 0.4
        await house.ask(f"prompt {turn}")
    assert house.news == [("opened", "a", "one")]
    house.a.does = well
    house.clock.now = house.condition("a", "one").breaker.until
    await read(await house.stream())
    assert house.news[1:] == [("closed", "a", "one")]
