"""The breaker's states, in virtual time, with the catalogue's numbers."""

from random import Random

import pytest

from gateway.core.breaker import Breaker


def make() -> Breaker:
    return Breaker(Random(1))


def fail(breaker: Breaker, now: float, count: int = 20) -> None:
    for _ in range(count):
        breaker.failed(now)


def probe(breaker: Breaker, *, good: bool) -> float:
    """Let the probe through when it is due, and return how long the breaker was open before."""
    now = breaker.until
    assert breaker.state(now) == "half_open"
    assert breaker.enter(now)
    if good:
        breaker.succeeded(now, probe=True)
    else:
        breaker.failed(now, probe=True)
    return now


def test_it_takes_twenty_outcomes_to_open_and_half_of_them_must_fail() -> None:
    breaker = make()
    fail(breaker, 100, 19)
    assert breaker.closed
    mixed = make()
    for _ in range(11):
        mixed.succeeded(100)
    fail(mixed, 100, 10)
    assert mixed.closed
    mixed.failed(100)
    assert mixed.state(100) == "open"
    assert not mixed.down


def test_twenty_failures_in_a_row_open_it_whatever_went_before() -> None:
    breaker = make()
    for _ in range(500):
        breaker.succeeded(100)
    fail(breaker, 101, 19)
    assert breaker.state(101) == "closed"
    breaker.failed(101)
    assert breaker.state(101) == "open"
    assert breaker.down


def test_an_answer_that_broke_is_a_failure_only() -> None:
    breaker = make()
    for turn in range(20):
        assert breaker.closed
        breaker.succeeded(100 + turn / 4)
        breaker.retract(100.2 + turn / 4, 100 + turn / 4)
        breaker.failed(100.2 + turn / 4)
    assert breaker.state(105) == "open"


def test_an_answer_that_no_longer_counts_is_not_taken_from_others() -> None:
    breaker = make()
    breaker.succeeded(95)
    for _ in range(19):
        breaker.succeeded(105)
    breaker.retract(105, 95)
    fail(breaker, 105, 18)
    assert breaker.closed, "of 37 outcomes 18 are failures"
    breaker.failed(105)
    assert not breaker.closed


def test_what_is_older_than_ten_seconds_is_forgotten() -> None:
    breaker = make()
    fail(breaker, 100, 10)
    for _ in range(10):
        breaker.succeeded(105)
    fail(breaker, 110.5, 9)
    assert breaker.closed


def test_it_stays_open_for_five_seconds_then_twice_as_long_at_most_three_hundred() -> None:
    breaker, now = make(), 100.0
    fail(breaker, now)
    times = []
    for _ in range(9):
        times.append(breaker.until - now)
        now = probe(breaker, good=False)
    for seconds, wanted in zip(times, [5, 10, 20, 40, 80, 160, 300, 300, 300], strict=True):
        assert seconds == pytest.approx(wanted, rel=0.1)
    assert len(set(times)) == 9, "there is jitter in every one"


def test_one_probe_goes_through_and_its_success_closes() -> None:
    """F10: of a hundred that wait, exactly one is let through."""
    breaker = make()
    fail(breaker, 100)
    assert not breaker.admits(breaker.until - 0.01)
    now = breaker.until
    assert [breaker.enter(now) for _ in range(100)].count(True) == 1
    assert not breaker.admits(now)
    breaker.succeeded(now + 1)
    assert breaker.state(now) == "half_open", "an answer from before it opened is not the probe's"
    breaker.succeeded(now + 2, probe=True)
    fail(breaker, now + 2, 4)
    assert breaker.state(now) == "closed", "what went before is forgotten"


def test_one_that_has_just_closed_is_on_probation() -> None:
    breaker = make()
    fail(breaker, 100)
    now = probe(breaker, good=True)
    fail(breaker, now + 9, 5)
    assert breaker.state(now + 9) == "open"
    now = probe(breaker, good=True)
    fail(breaker, now + 11, 19)
    assert breaker.state(now + 11) == "closed"


def test_a_probe_that_shows_nothing_leaves_room_for_the_next() -> None:
    breaker = make()
    fail(breaker, 100)
    now = breaker.until
    assert breaker.enter(now)
    breaker.released()
    assert breaker.enter(now)


def test_an_outage_soon_after_another_is_its_continuation() -> None:
    breaker = make()
    fail(breaker, 100)
    now = probe(breaker, good=True)
    fail(breaker, now + 59)
    assert breaker.until - now - 59 == pytest.approx(10, rel=0.1)
    later = probe(breaker, good=True)
    fail(breaker, later + 60)
    assert breaker.until - later - 60 == pytest.approx(5, rel=0.1)
    assert breaker.openings == 3


def test_failures_count_by_their_weight() -> None:
    breaker = make()
    for _ in range(1000):
        breaker.failed(100, 0.0)
    for _ in range(19):
        breaker.failed(100)
    assert breaker.closed
    breaker.failed(100)
    assert not breaker.closed


def test_an_open_one_that_still_answers_now_and_then_is_not_down() -> None:
    breaker = make()
    for _ in range(10):
        breaker.succeeded(100)
    fail(breaker, 100, 10)
    assert not breaker.closed
    breaker.succeeded(101)
    fail(breaker, 101, 19)
    assert not breaker.down
    breaker.failed(101)
    assert breaker.down


def test_a_tripped_one_is_not_tripped_again_by_those_that_were_under_way() -> None:
    breaker = make()
    breaker.trip(100)
    until = breaker.until
    breaker.trip(101)
    assert breaker.until == until
    assert breaker.enter(until)
    breaker.trip(until)
    assert breaker.until - until == pytest.approx(10, rel=0.1)
    assert breaker.openings == 2


def test_f06_a_flapping_target_is_left_alone_for_longer_and_longer() -> None:
    """F06: 5 s up, 5 s down, for ten minutes at 10 requests a second."""
    breaker = make()
    switched, met = [], 0
    for tick in range(6_000):
        now = 1_000 + tick / 10
        up = int(now) % 10 < 5
        if not breaker.admits(now):
            continue
        probing, openings = breaker.enter(now), breaker.openings
        if up:
            breaker.succeeded(now, probe=probing)
        else:
            met += 1
            breaker.failed(now, probe=probing)
        if breaker.openings > openings:
            switched.append(breaker.until - now)
    assert switched == sorted(switched) or max(switched) == pytest.approx(300, rel=0.2)
    assert len(switched) <= 9
    assert met <= 300, "of 3,000 requests that would have met the bad half"


def test_a_fifth_of_failures_is_failing_though_it_opens_nothing() -> None:
    breaker = make()
    for _ in range(20):
        breaker.succeeded(100)
    fail(breaker, 100, 4)
    assert not breaker.failing()
    fail(breaker, 100, 1)
    assert breaker.failing()
    assert breaker.closed
