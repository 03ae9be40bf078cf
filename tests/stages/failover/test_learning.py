"""What a request's fate says of its target."""

import asyncio
import contextlib

import pytest

from gateway.core.errors import DeadlineExceeded, StreamCut, UpstreamTimeout
from gateway.core.stream_errors import reported
from gateway.providers.transport.upstream_errors import timed_out
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


@pytest.mark.parametrize(("deadline", "misses"), [(5.0, 0), (8.0, 1)])
async def test_a_target_that_outlasts_the_deadline_has_failed_if_no_answer_takes_so_long(
    deadline: float, misses: int
) -> None:
    house = House({"model": "one"})
    house.a.takes = 8.0
    await house.ask("another policy allows so much")
    house.a.takes = 100.0
    asking = asyncio.ensure_future(house.chain(house.exchange(deadline=deadline)))
    await house.clock.advance(deadline)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    record = house.condition("a", "one").record
    assert (record.tries, record.good) == (1 + misses, 1)


@pytest.mark.parametrize(
    ("usual", "seconds", "closed"),
    [(8.0, 5.0, True), (8.0, 8.0, False), (None, 5.0, False), (None, 0.9, True)],
)
async def test_a_deadline_is_a_strike_where_it_allows_for_what_answers_take(
    usual: float | None, seconds: float, closed: bool
) -> None:
    house = House({"model": "one"}, deadline=30)
    if usual is not None:
        house.a.takes = usual
        await house.ask("it works")
    house.a.does, house.a.takes = (lambda _: timed_out("upstream_timeout")), seconds
    for turn in range(20):
        await house.failure(f"prompt {turn}", deadline=seconds)
    condition = house.condition("a", "one")
    assert (condition.breaker.closed, condition.outstanding) == (closed, 0)


async def test_a_deadline_that_the_caller_set_itself_is_no_strike_however_long_it_is() -> None:
    house = House({"model": "one"})
    house.a.does = lambda _: DeadlineExceeded("The request's deadline has passed.")
    house.a.takes = 60.0
    for turn in range(20):
        await house.failure(f"prompt {turn}")
    assert house.condition("a", "one").breaker.closed


async def test_a_provider_that_hangs_is_left_alone_though_its_policy_is_in_a_hurry() -> None:
    house = House({"model": "one"}, {"model": "two"}, deadline=10, mode="direct")
    house.a.does = lambda call: timed_out("upstream_timeout")
    house.a.takes = 10.0
    for turn in range(20):
        await house.failure(f"prompt {turn}")
    assert await house.served_by() == "b"


@pytest.mark.parametrize("mode", ["direct", "buffered"])
async def test_a_deadline_in_the_middle_of_a_stream_is_no_strike(mode: str) -> None:
    house = House({"model": "one"}, mode=mode)
    house.a.does = lambda _: [STREAM[0], timed_out("upstream_timeout")]
    for turn in range(20):
        if mode == "buffered":
            await house.failure(f"prompt {turn}")
        else:
            with pytest.raises(UpstreamTimeout):
                await read(await house.stream(f"prompt {turn}"))
    assert house.condition("a", "one").breaker.closed


async def test_a_timeout_that_the_provider_reports_is_no_deadline_of_ours() -> None:
    house = House({"model": "one"})
    house.a.does = lambda _: reported(b'{"error":{"type":"timeout_error"}}', primed=False)
    for turn in range(20):
        await house.failure(f"prompt {turn}")
    assert not house.condition("a", "one").breaker.closed


async def test_a_caller_who_leaves_a_stream_does_not_blame_the_target() -> None:
    house = House({"model": "one"})
    stream = await house.stream()
    await stream.blocks.aclose()
    condition = house.condition("a", "one")
    assert (condition.outstanding, condition.record.good, condition.record.tries) == (0, 1, 1)


async def test_a_target_that_breaks_most_streams_is_shut() -> None:
    house = House({"model": "one"})
    for turn in range(20):
        house.a.does = (lambda _: [STREAM[0], StreamCut("cut")]) if turn % 3 else well
        with contextlib.suppress(StreamCut):
            await read(await house.stream(f"prompt {turn}"))
    condition = house.condition("a", "one")
    assert condition.record.tries == pytest.approx(20)
    assert condition.record.good == pytest.approx(7)
    assert not condition.breaker.closed


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
