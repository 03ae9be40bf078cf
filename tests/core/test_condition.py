"""The condition of one target: pauses, patience and whose failures count."""

from random import Random

import pytest

from gateway.core.condition import Condition
from gateway.core.health import Health


def make() -> Condition:
    return Health(Random(0)).condition("acme", "small")


def test_the_longer_of_two_pauses_counts() -> None:
    small = make()
    small.pause(100, 30)
    small.pause(101, 2)
    assert small.paused_until == 130
    assert not small.available(129.9)
    assert small.available(130)


def test_refusals_that_were_under_way_together_are_one_step_of_a_growing_pause() -> None:
    small = make()
    for _ in range(12):
        small.pause(100.1, None, began=100.0)
    assert small.paused_until <= 100.6
    longest = []
    for step in range(1, 9):
        now = small.paused_until + 100 * step
        small.pause(now, None, began=now - 0.1)
        longest.append(small.paused_until - now)
    assert max(longest) > 5, "what is asked anew makes it grow"


def test_it_recovers_when_the_last_obstacle_is_gone() -> None:
    small = make()
    assert small.recovers_at(100) == 100
    small.pause(100, 30)
    assert small.recovers_at(100) == 130
    small.breaker.trip(100)
    for _ in range(4):
        small.breaker.trip(small.breaker.until)
    assert small.recovers_at(100) == small.breaker.until > 130


def test_a_first_token_may_take_three_times_the_99th_percentile_and_at_least_a_second() -> None:
    small = make()
    for _ in range(19):
        small.answered(100, "acme", None, 0.01, first_token=True)
    assert not small.usual
    for _ in range(81):
        small.answered(100, "acme", None, 0.01, first_token=True)
    assert small.usual == 1.0
    for _ in range(900):
        small.answered(100, "acme", None, 2.0, first_token=True)
    assert small.usual == pytest.approx(6.0, rel=0.1)
    for _ in range(1_000):
        small.answered(100, "acme", None, 60.0, first_token=False)
    assert small.usual == pytest.approx(6.0, rel=0.1)
    assert small.speed.seconds == 60.0


def test_failures_of_a_tenant_whose_neighbours_fare_well_hardly_count() -> None:
    small = make()
    for _ in range(5):
        small.answered(99, "good")
    for turn in range(400):
        now = 100 + turn / 10
        small.answered(now, "good")
        for _ in range(4):
            small.failed(now, "bad", None, telling=True)
    assert small.breaker.closed


def test_failures_that_the_neighbours_share_count_in_full() -> None:
    small = make()
    for turn in range(20):
        for tenant in ("one", "two", "two", "two", "two"):
            small.answered(100 + turn / 10, tenant)
            small.failed(100 + turn / 10, tenant, None, telling=True)
    assert not small.breaker.closed


def test_a_wait_is_long_that_takes_as_long_as_any_answer_of_the_last_ten_minutes() -> None:
    small = make()
    assert not small.late(0.9, 100)
    assert small.late(1.0, 100)
    small.answered(100, "acme", None, 8.0, first_token=False)
    small.answered(500, "acme", None, 2.0, first_token=False)
    small.waited(20.0, 500, first_token=False)
    assert not small.late(7.9, 700)
    assert small.late(8.0, 700)
    assert small.late(1.0, 701), "nothing is known of the last ten minutes"
    small.answered(800, "acme", None, 3.0, first_token=False)
    assert not small.late(2.9, 900)
