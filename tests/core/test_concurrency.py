"""The limit that follows what a target can take: F13, and that it leaves healthy ones alone."""

import asyncio
import sys
from itertools import count
from math import inf
from statistics import mean

import pytest

from gateway.core.concurrency import LEAST, START, STREAM, AdaptiveLimit, Cohort, Sample
from tests.fakes.overload import Town, arrivals, middle, together

COHORT = 16


def sent_to(limit: AdaptiveLimit) -> Cohort:
    cohort = limit.send(0.0, 1000)
    assert cohort is not None
    return cohort


class Law:
    """Feeds a limit with whole cohorts, each answer taking what a law says."""

    def __init__(self, most: int = 1000) -> None:
        self.limit = AdaptiveLimit(most)
        self.now = 0.0

    def cohort(self, seconds: float, among: int, shape: object = STREAM, times: int = 1) -> int:
        """Send cohorts of which each answer takes so long among so many; return the limit."""
        for _ in range(times):
            self.now += 1.0
            sent = self.now
            cohorts = [self.limit.send(sent, among) or Cohort() for _ in range(COHORT)]
            self.now += 1.0 if seconds == inf else seconds
            for cohort in cohorts:
                self.limit.settle(self.now, cohort, Sample(shape, seconds, among, sent))
        return self.limit.limit


def test_it_begins_generously_and_never_above_its_most() -> None:
    assert AdaptiveLimit(1000).limit == START
    assert AdaptiveLimit(8).limit == 8
    assert AdaptiveLimit(2).limit == 2


def test_it_doubles_while_what_is_allowed_is_in_use_and_nothing_gets_slower() -> None:
    law = Law()
    assert [law.cohort(1.0, law.limit.limit) for _ in range(4)] == [200, 400, 800, 1000]


def test_it_does_not_grow_when_it_is_hardly_used() -> None:
    assert Law().cohort(1.0, 49, times=20) == START


def test_it_grows_once_a_round_trip() -> None:
    limit = AdaptiveLimit(1000)
    cohorts = [sent_to(limit) for _ in range(4 * COHORT)]
    for cohort in cohorts:
        limit.settle(1.0, cohort, Sample(STREAM, 1.0, 80, 0.0))
    assert limit.limit == 200


def test_two_slow_cohorts_in_a_row_cut_it_to_a_little_below_what_was_served() -> None:
    law = Law()
    law.cohort(1.0, 30, times=5)
    assert law.cohort(2.0, 90) == START
    assert law.cohort(2.0, 90) == 45
    law.limit = AdaptiveLimit(1000)
    law.cohort(1.0, 30, times=5)
    law.cohort(1.6, 64)
    assert law.cohort(1.6, 64) == 36  # 64 / 1.6 = 40 were being served


def test_after_a_cut_it_grows_by_steps() -> None:
    law = Law()
    law.cohort(1.0, 30, times=5)
    law.cohort(2.0, 90, times=2)
    assert [law.cohort(1.0, 45) for _ in range(3)] == [49, 53, 58]


def test_one_slow_answer_in_five_is_no_reason() -> None:
    law = Law()
    law.cohort(1.0, 30, times=5)
    for _ in range(20):
        cohorts = [sent_to(law.limit) for _ in range(COHORT)]
        for cohort, number in zip(cohorts, count()):
            seconds = 30.0 if number % 5 == 0 else 1.0
            law.limit.settle(law.now, cohort, Sample(STREAM, seconds, 40, law.now))
    assert law.limit.limit == START


def test_a_provider_that_is_slow_of_its_own_is_not_cut_for_long() -> None:
    """Fewer requests take as long as before: so the crowd was not what slowed it down."""
    law = Law()
    law.cohort(1.0, 45, times=5)
    law.cohort(3.0, 45, times=2)
    assert law.limit.limit == 22
    law.cohort(3.0, 22)
    assert law.limit.limit == START
    assert law.cohort(3.0, 45, times=10) == START


def test_a_few_slow_requests_never_cut_anything() -> None:
    law = Law()
    law.cohort(1.0, 3, times=5)
    assert law.cohort(9.0, 3, times=10) == START


@pytest.mark.parametrize("refusals", [2, 16])
def test_refusals_and_timeouts_cut_it_by_a_third(refusals: int) -> None:
    law = Law()
    law.cohort(1.0, 50, times=3)
    cohorts = [sent_to(law.limit) for _ in range(COHORT)]
    for cohort, number in zip(cohorts, count()):
        seconds = inf if number < refusals else 1.0
        law.limit.settle(law.now, cohort, Sample(STREAM, seconds, 50, law.now))
    assert law.limit.limit == 35


def test_a_single_refusal_cuts_nothing() -> None:
    law = Law()
    cohorts = [sent_to(law.limit) for _ in range(COHORT)]
    for cohort, number in zip(cohorts, count()):
        seconds = inf if number == 0 else 1.0
        law.limit.settle(1.0, cohort, Sample(STREAM, seconds, 10, 0.0))
    assert law.limit.limit == START


def test_it_never_falls_below_its_least() -> None:
    law = Law()
    assert law.cohort(inf, 50, times=50) == LEAST


def test_what_takes_a_moment_longer_is_as_usual_and_so_is_what_takes_no_time() -> None:
    law = Law()
    law.cohort(0.0, 60, times=5)
    assert law.cohort(0.09, 60, times=5) >= START


def test_far_below_the_limit_not_every_request_is_looked_at() -> None:
    law = Law()
    law.cohort(1.0, 30)
    limit, moments = law.limit, [10.0 + number * 0.01 for number in range(100)]
    assert 15 <= sum(limit.send(now, 24) is not None for now in moments) <= 20
    assert all(limit.send(now, 25) is not None for now in moments)


def test_requests_without_an_answer_of_their_own_do_not_hold_up_a_cohort() -> None:
    limit = AdaptiveLimit(1000)
    cohorts = [sent_to(limit) for _ in range(COHORT)]
    for cohort in cohorts[:10]:
        limit.settle(1.0, cohort, None)
    for cohort in cohorts[10:]:
        limit.settle(1.0, cohort, Sample(STREAM, 1.0, 90, 0.0))
    assert limit.limit == 200
    assert limit.begins == 1.0


def test_whole_answers_are_compared_with_those_of_like_length_only() -> None:
    law = Law()
    law.cohort(1.0, 60, shape=2, times=5)
    assert law.cohort(20.0, 60, shape=5, times=5) >= START
    assert law.cohort(1.0, 60, shape=2, times=5) >= START


def test_a_gap_between_tokens_that_grows_shows_a_provider_that_slows_down_for_all() -> None:
    """The first token comes as quickly as ever; what follows takes half as long again."""
    law = Law()
    for _ in range(5):
        law.limit.streamed(9.0, 90)
        law.cohort(0.5, 30)
    for _ in range(100):
        law.limit.streamed(9.0, 90)
    law.cohort(0.5, 60)
    before = law.limit.limit
    law.limit._slow = 1  # what is usual is not learned while it is slow
    for _ in range(100):
        law.limit.streamed(13.5, 90)
    assert law.cohort(0.5, 60) < 45 < before


async def limits(town: Town, seconds: float, every: float = 1.0) -> list[int]:
    seen = []
    end = town.clock.now + seconds
    while town.clock.now < end:
        await town.clock.sleep(every)
        seen.append(town.slots.limit)
    return seen


@pytest.mark.parametrize("stream", [True, False])
async def test_f13_the_knee_of_a_provider_that_saturates_is_found_within_a_minute(
    stream: bool,
) -> None:
    """F13: at 3x its concurrency it takes 33 s in place of 10.8 s; 32 at once is its knee."""
    town = Town(places=32, seconds=10.8, tokens=10)
    watching = asyncio.ensure_future(limits(town, 119.5))
    asks = await town.crowd(96, 120.0, stream=stream, patience=600.0)
    seen = await watching
    found = mean(seen[60:])
    best = 32 / 10.8
    served = sum(ask.ok and 60 <= (ask.ended or 0) < 120 for ask in asks) / 60
    alone = middle(a.latency - a.queued for a in asks if a.ok and a.at >= 50)
    sys.stdout.write(
        f"F13 {'streams' if stream else 'whole'}: knee 32, limit after 60 s {seen[60]}, mean"
        f" of the next minute {found:.1f}; {served:.2f} answers/s of {best:.2f}; an answer"
        f" takes {alone:.1f} s once it is sent, 10.8 s unloaded\n"
    )
    assert abs(seen[60] - 32) <= 0.2 * 32
    assert abs(found - 32) <= 0.2 * 32
    assert served >= 0.95 * best
    assert alone <= 1.3 * 10.8


@pytest.mark.parametrize("stream", [True, False])
async def test_a_healthy_provider_is_not_held_back_whatever_its_times_scatter(stream: bool) -> None:
    town = Town(places=5_000, seconds=2.0, sigma=0.5, tokens=4)
    asks = await town.visit(
        together(
            arrivals("a", 40.0, 0.0, 30.0, tenant="a", stream=stream),
            arrivals("b", 80.0, 30.0, 60.0, tenant="b", stream=stream),
        ),
        80.0,
    )
    assert all(ask.ok for ask in asks)
    late = [ask for ask in asks if ask.queued > 0.5]
    assert len(late) <= 0.01 * len(asks)
