"""The guard: it tells of shares that are off for good, and does not cry wolf."""

from collections.abc import Iterable
from random import Random

from gateway.stages.complexity_router.calibration.guard import RUN, TOLERANCE, WINDOW, Drift, Guard

WANTED = (0.7, 0.3)


def told(guard: Guard, tiers: Iterable[int]) -> list[tuple[int, Drift]]:
    news = ((number, guard.observe(tier, WANTED)) for number, tier in enumerate(tiers))
    return [(number, each) for number, each in news if each is not None]


def stream(share: float, count: int, seed: int = 1) -> list[int]:
    chance = Random(seed)
    return [int(chance.random() < share) for _ in range(count)]


def test_shares_as_wanted_are_no_news_in_a_hundred_thousand_requests() -> None:
    guard = Guard(2)
    assert told(guard, stream(0.3, 100_000)) == []
    assert guard.alarm is None


def test_a_share_that_is_off_for_500_requests_is_told_once() -> None:
    guard = Guard(2)
    ((number, drift),) = told(guard, stream(0.5, 10_000))
    assert WINDOW + RUN - 2 <= number <= 2 * RUN
    assert abs(drift.realised - drift.wanted) > TOLERANCE
    assert guard.alarm is drift


def test_a_share_that_is_off_for_fewer_is_not() -> None:
    guard = Guard(2)
    assert told(guard, [*stream(0.3, 2_000), *([1] * 150), *stream(0.3, 2_000, 2)]) == []


def test_the_end_of_an_alarm_is_told_too() -> None:
    guard = Guard(2)
    first, second = told(guard, [*stream(0.5, 2_000), *stream(0.3, 2_000)])
    assert (first[1].over, second[1].over) == (False, True)
    assert second[0] >= 2_000 + RUN
    assert abs(second[1].realised - second[1].wanted) <= TOLERANCE
    assert guard.alarm is None


def test_it_counts_the_last_250_and_no_more() -> None:
    guard = Guard(2)
    told(guard, [1] * WINDOW + [0] * 50)
    assert guard.realised(1) == 0.8
    assert guard.realised(0) == 0.2


def test_the_worst_of_three_tiers_is_named() -> None:
    guard, chance = Guard(3), Random(5)
    news = None
    for _ in range(2 * RUN):
        tier = chance.choices((0, 1, 2), (0.6, 0.15, 0.25))[0]
        news = guard.observe(tier, (0.6, 0.3, 0.1)) or news
    assert news is not None
    assert news.tier in {1, 2}
    assert news.wanted in {0.3, 0.1}
