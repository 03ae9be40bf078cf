"""The laws of a simulated provider, without waiting for any of it."""

from itertools import pairwise
from math import inf, isclose
from random import Random
from statistics import mean, median

import pytest

from gateway.core import wire
from gateway.providers.simulated.laws import (
    Behaviour,
    Brownout,
    Errors,
    Fixed,
    Latency,
    Laws,
    Lognormal,
    RateLimit,
    Refused,
    Saturating,
    Served,
    Window,
)


def fates(behaviour: Behaviour, count: int, *, every: float = 1.0) -> list[Refused | Served]:
    laws = Laws(behaviour)
    return [laws.decide(i * every, asked=10, answered=5) for i in range(count)]


def served(fate: Refused | Served) -> Served:
    assert isinstance(fate, Served)
    return fate


def test_fixed_means_fixed() -> None:
    behaviour = Behaviour(latency=Fixed(first_token=0.5, gap=0.01))
    assert fates(behaviour, 2) == [Served([0.5, 0.01, 0.01, 0.01, 0.01])] * 2


def test_lognormal_keeps_its_medians_and_spreads_around_them() -> None:
    pauses = Lognormal(first_token=2.0, gap=0.05, sigma=0.5).pauses(4001, Random(1))
    assert len(pauses) == 4001
    assert isclose(median(pauses[1:]), 0.05, rel_tol=0.1)
    ranked = sorted(pauses[1:])
    assert isclose(ranked[3636] / 0.05, 1.9, rel_tol=0.15), "p90 of sigma 0.5 is 1.9 medians"


def test_the_tail_is_far_slower_than_the_rest() -> None:
    law, chance = Lognormal(first_token=1.0, sigma=0.1, tail=0.05), Random(2)
    firsts = sorted(law.pauses(1, chance)[0] for _ in range(4000))
    assert firsts[3700] < 1.6
    assert firsts[-10] > 3


def test_the_same_seed_gives_the_same_fates_and_another_seed_others() -> None:
    def all_of(seed: int) -> list[Refused | Served]:
        errors = Errors(rate=0.3, calm=10, burst=5)
        return fates(Behaviour(seed=seed, latency=Lognormal(first_token=1), errors=errors), 200)

    assert all_of(1) == all_of(1)
    assert all_of(1) != all_of(2)


def test_a_request_bucket_refuses_beyond_its_rate_and_says_when_to_come_back() -> None:
    laws = Laws(Behaviour(rate_limit=RateLimit(requests=2)))
    assert [type(laws.decide(0, asked=1, answered=1)) for _ in range(2)] == [Served, Served]
    assert laws.decide(0, asked=1, answered=1) == Refused(429, 30.0)
    assert laws.decide(15, asked=1, answered=1) == Refused(429, 15.0)
    assert isinstance(laws.decide(30, asked=1, answered=1), Served)


def test_a_token_bucket_counts_both_ways_and_an_oversized_request_runs_it_into_debt() -> None:
    laws = Laws(Behaviour(rate_limit=RateLimit(tokens=60)))
    assert isinstance(laws.decide(0, asked=80, answered=10), Served)
    assert laws.decide(0, asked=10, answered=10) == Refused(429, 50.0)
    assert isinstance(laws.decide(50, asked=10, answered=10), Served)


def test_a_bucket_never_holds_more_than_a_minute() -> None:
    laws = Laws(Behaviour(rate_limit=RateLimit(requests=1)))
    assert isinstance(laws.decide(0, asked=1, answered=1), Served)
    assert isinstance(laws.decide(6000, asked=1, answered=1), Served)
    assert laws.decide(6000, asked=1, answered=1) == Refused(429, 60.0)


def test_an_outage_refuses_within_its_windows_only() -> None:
    behaviour = Behaviour(outage=(Window(2, 4), Window(6, 7)))
    down = [fate == Refused(0) for fate in fates(behaviour, 8)]
    assert down == [False, False, True, True, False, False, True, False]
    assert fates(Behaviour(outage="always"), 2) == [Refused(0)] * 2


def test_a_brownout_stretches_every_pause_within_its_window() -> None:
    behaviour = Behaviour(
        latency=Fixed(first_token=1.0, gap=0.1), brownouts=(Brownout(1, 2, factor=3),)
    )
    firsts = [served(fate).pauses[:2] for fate in fates(behaviour, 3)]
    assert firsts[0] == firsts[2] == [1.0, 0.1]
    assert firsts[1] == pytest.approx([3.0, 0.3])


def test_errors_come_at_their_rate_and_in_their_mix() -> None:
    behaviour = Behaviour(seed=3, errors=Errors(rate=0.5, calm=0))
    all_fates = fates(behaviour, 4000)
    busy = [f for f in all_fates if isinstance(f, Refused) and f.status == 429]
    broken = [f for f in all_fates if isinstance(f, Refused) and f.status != 429]
    stalled = [f for f in all_fates if isinstance(f, Served) and inf in f.pauses]
    reset = [f for f in all_fates if isinstance(f, Served) and f.reset_at is not None]
    shares = [len(kind) / 2000 for kind in (busy, broken, stalled, reset)]
    assert shares == pytest.approx([0.60, 0.25, 0.10, 0.05], abs=0.04)
    assert all(f.retry_after is not None and 1 <= f.retry_after <= 10 for f in busy)
    assert {f.status for f in broken} == {500, 502, 503, 529}
    assert {f.reset_at for f in reset} == {0, 1, 2, 3, 4}
    assert {list(f.pauses).index(inf) for f in stalled} == {0, 1, 2, 3, 4}


def test_errors_come_in_bursts() -> None:
    errors = Errors(rate=0, burst_rate=1, calm=90, burst=10, busy=1, broken=0, stall=0, reset=0)
    bad = [isinstance(fate, Refused) for fate in fates(Behaviour(seed=5, errors=errors), 20_000)]
    assert mean(bad) == pytest.approx(0.1, abs=0.03)
    bursts = sum(1 for before, now in pairwise(bad) if now and not before)
    assert bursts < sum(bad) / 4, "failures come together, not one by one"


def test_bursts_depend_on_time_not_on_how_many_ask() -> None:
    errors = Errors(rate=0, burst_rate=1, calm=50, burst=50, busy=1, broken=0, stall=0, reset=0)
    behaviour = Behaviour(seed=7, errors=errors)
    often = [isinstance(fate, Refused) for fate in fates(behaviour, 1000, every=1)]
    seldom = [isinstance(fate, Refused) for fate in fates(behaviour, 100, every=10)]
    assert often[::10] == seldom


def test_errors_without_any_kind_do_nothing() -> None:
    errors = Errors(rate=1, busy=0, broken=0, stall=0, reset=0, burst=0)
    assert all(isinstance(fate, Served) for fate in fates(Behaviour(errors=errors), 5))


@pytest.mark.parametrize(
    ("text", "law"),
    [
        (b'{"law":"fixed","gap":0.1}', Fixed(gap=0.1)),
        (b'{"law":"lognormal","first_token":1}', Lognormal(first_token=1)),
        (
            b'{"law":"saturating","first_token":1,"concurrency":3}',
            Saturating(first_token=1, concurrency=3),
        ),
    ],
)
def test_a_law_is_chosen_by_name(text: bytes, law: Latency) -> None:
    assert wire.decode_as(text, Latency) == law  # type: ignore[arg-type]  # a union is no type to mypy


@pytest.mark.parametrize(
    "text",
    [
        b'{"law":"magic"}',
        b'{"law":"fixed","gap":-1}',
        b'{"law":"saturating","first_token":1}',
        b'{"law":"saturating","first_token":1,"concurrency":1,"x":1}',
    ],
)
def test_a_law_is_read_strictly(text: bytes) -> None:
    with pytest.raises(ValueError, match="another shape"):
        wire.decode_as(text, Latency)  # type: ignore[arg-type]  # a union is no type to mypy
