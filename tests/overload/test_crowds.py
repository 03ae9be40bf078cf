"""Group G on virtual time: a relay, a provider with 32 places at 2 s each, and too many requests.

Each prints what it saw; `pytest -s` shows it.
"""

import sys
from collections.abc import Sequence

import pytest

from gateway.core.capacity import Concurrency
from gateway.core.exchange import Priority
from tests.fakes.overload import Ask, Town, arrivals, middle, percentile, together

PLACES, SECONDS = 32, 2.0
CAPACITY = PLACES / SECONDS
QUIET = "BCDEFGHIJ"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def answered(asks: Sequence[Ask], start: float, end: float) -> float:
    """Answers a second in that time."""
    return sum(ask.ok and start <= (ask.ended or 0.0) < end for ask in asks) / (end - start)


def p95(asks: Sequence[Ask]) -> float:
    return percentile([ask.latency for ask in asks if ask.ok], 0.95)


async def test_g01_ten_times_too_many_for_a_minute() -> None:
    """G01: goodput, quick refusals with a time to come back, recovery."""
    town = Town(places=PLACES, seconds=SECONDS, rule=Concurrency(queue=64))
    facts = {"tenant": "t", "patience": 20.0}
    asks = await town.visit(
        together(
            arrivals("calm", CAPACITY / 2, 0, 30, **facts),
            arrivals("storm", CAPACITY * 10, 30, 90, **facts),
            arrivals("after", CAPACITY / 2, 90, 130, **facts),
        ),
        150.0,
    )
    storm = [ask for ask in asks if 30 <= ask.at < 90]
    shed = [ask for ask in storm if ask.code]
    goodput = answered(asks, 35, 90)
    calm, accepted, after = (
        [ask.latency - ask.queued for ask in asks if ask.ok and start <= ask.at < end]
        for start, end in ((10, 30), (40, 90), (95, 130))
    )
    say(
        f"G01: {goodput:.1f} answers/s of {CAPACITY:.0f}; {len(shed)} of {len(storm)} refused,"
        f" the slowest after {max(ask.latency for ask in shed) * 1000:.0f} ms; an accepted answer"
        f" takes {percentile(accepted, 0.99):.1f} s (p99) once sent, {percentile(calm, 0.99):.1f} s"
        f" before; 5 s after the storm {percentile(after, 0.99):.1f} s"
    )
    assert goodput >= 0.9 * CAPACITY
    assert percentile(accepted, 0.99) <= 2 * percentile(calm, 0.99)
    assert {ask.code for ask in shed} == {"overloaded"}
    assert max(ask.latency for ask in shed) <= 0.05
    assert all(0 < ask.retry_after <= 60 for ask in shed)
    recovered = [ask for ask in asks if ask.at >= 95]
    assert all(ask.ok for ask in recovered)
    assert middle(ask.queued for ask in recovered) == 0.0


@pytest.mark.parametrize(
    ("rule", "settled"),
    [
        (Concurrency(max=PLACES, adaptive=False), 20.0),
        (Concurrency(), 60.0),  # by then the knee is known
    ],
    ids=["fixed", "adaptive"],
)
async def test_g03_a_noisy_neighbour(rule: Concurrency, settled: float) -> None:
    """G03: A offers 50 times what each of B..J does, and far more than there is."""
    rate, tenants = 0.8, {}
    for noisy in (False, True):
        town = Town(places=PLACES, seconds=SECONDS, rule=rule)
        crowds = [arrivals(name, rate, 0, 120, tenant=name, patience=30.0) for name in QUIET]
        if noisy:
            crowds.append(arrivals("A", 50 * rate, 20, 120, tenant="A", patience=30.0))
        asks = [ask for ask in await town.visit(together(*crowds), 160.0) if ask.at >= settled]
        tenants[noisy] = {n: [ask for ask in asks if ask.tenant == n] for n in (*QUIET, "A")}
    kept, slower = [], []
    for name in QUIET:
        solo, among = tenants[False][name], tenants[True][name]
        kept.append(sum(ask.ok for ask in among) / sum(ask.ok for ask in solo))
        slower.append(p95(among) / p95(solo))
    mob = tenants[True]["A"]
    say(
        f"G03 {'adaptive' if rule.adaptive else 'fixed'}: B..J keep {min(kept):.0%} of their"
        f" goodput or more, p95 at most {max(slower):.2f} times that without A; of A's"
        f" {len(mob)} requests {sum(ask.ok for ask in mob) / len(mob):.0%} are answered"
    )
    assert min(kept) >= 0.95
    assert max(slower) <= 1.5


async def test_g04_the_low_class_is_shed_first() -> None:
    """G04: three times what there is, a quarter of it high: up to 80 % of all places."""
    town = Town(places=PLACES, seconds=SECONDS, rule=Concurrency(queue=64))
    classes: dict[Priority, float] = {"high": 0.75 * CAPACITY, "low": 2.25 * CAPACITY}
    crowds = [
        arrivals(name, rate, 0, 90, tenant=name, priority=name, patience=20.0)
        for name, rate in classes.items()
    ]
    asks = [ask for ask in await town.visit(together(*crowds), 120.0) if ask.at >= 10]
    share = {
        name: sum(ask.ok for ask in asks if ask.priority == name)
        / sum(ask.priority == name for ask in asks)
        for name in classes
    }
    say(f"G04: high {share['high']:.1%} answered, low {share['low']:.1%}")
    assert share["high"] >= 0.99
    assert 0.02 <= share["low"] <= 0.2


async def test_g04_high_cannot_starve_the_others() -> None:
    town = Town(places=PLACES, seconds=SECONDS, rule=Concurrency(max=PLACES, adaptive=False))
    high = arrivals("h", 3 * CAPACITY, 0, 90, tenant="h", priority="high", patience=20.0)
    low = arrivals("l", 0.2, 0, 90, tenant="l", priority="low", patience=60.0)
    asks = await town.visit(together(high, low), 150.0)
    few = [ask for ask in asks if ask.priority == "low"]
    say(f"G04: low behind a crowd of high: {sum(a.ok for a in few)} of {len(few)} answered")
    assert sum(ask.ok for ask in few) >= 0.9 * len(few)


@pytest.mark.parametrize("load", [0.8, 1.5])
async def test_g05_big_prompts_do_not_hold_up_small_ones(load: float) -> None:
    """G05: one request in a hundred has 100,000 tokens; without and with a queue."""
    seen = {}
    for big in (False, True):
        town = Town(places=PLACES, seconds=SECONDS, rule=Concurrency(max=PLACES, adaptive=False))
        rate = CAPACITY * load
        crowds = [arrivals("small", rate, 0, 60, tenant="small", patience=60.0)]
        if big:
            crowds.append(
                arrivals("big", rate / 100, 0, 60, tenant="big", tokens=80_000, patience=60.0)
            )
        asks = await town.visit(together(*crowds), 130.0)
        seen[big] = p95([ask for ask in asks if ask.tenant == "small"])
    say(f"G05 at {load:.0%} load: p95 of small ones {seen[False]:.2f} -> {seen[True]:.2f} s")
    assert seen[True] <= 1.1 * seen[False]
