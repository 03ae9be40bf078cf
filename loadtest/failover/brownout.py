"""A provider has a bad time at 80 % load, alone, beside a healthy one, and beside a small one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from gateway.providers.simulated.laws import Brownout, Saturating, Window
from gateway.providers.simulated.provider import SimulatedConfig
from loadtest.failover.naive import Naive
from loadtest.failover.plot import Line, Panel
from loadtest.failover.world import Answer, Trouble, World

RATE: Final = 20.0
START, END, UNTIL = 60.0, 360.0, 480.0
WINDOW: Final = 10
SERVED: Final = 0.95
PLACES: Final = 50
"""Answers of 2 s at a time: 25 a second."""
Kind = Literal["brownout", "outage"]
"""Half of the answers are errors and the rest takes 3x as long; or nobody is there."""
CASES: Final[Mapping[str, Mapping[str, int]]] = {
    "one provider": {"one": PLACES},
    "and a healthy second": {"one": PLACES, "two": PLACES},
    "and a second of a quarter": {"one": PLACES, "two": PLACES // 4},
}


class Outcome(Struct, frozen=True):
    """What a run came to. Shares are of requests; `recovered` is in seconds after the trouble."""

    goodput: Sequence[float]
    """Good answers by the second in which they were asked for, as shares over 5 s."""
    attempts: Sequence[float]
    """Tries in each window of 10 s."""
    allowed: Sequence[float]
    during: float
    recovered: float
    excess: float
    """Tries above P4 in the worst window; below 0 is well."""
    late: float
    """The same with requests counted when they came, not when they were first sent."""


def provider(places: int, trouble: Kind | None, seed: int) -> SimulatedConfig:
    """Return a provider: an answer takes 2 s, its first token 0.3 s, so many at a time."""
    return SimulatedConfig(
        seed=seed,
        latency=Saturating(first_token=0.3, gap=0.2, sigma=0.3, concurrency=places),
        answer_tokens=8,
        brownouts=(Brownout(start=START, end=END, factor=3),) if trouble == "brownout" else (),
        outage=(Window(start=START, end=END),) if trouble == "outage" else (),
    )


async def run(case: str, *, naive: bool, kind: Kind = "brownout", seed: int = 1) -> Outcome:
    """Return what became of eight minutes. The first provider has the bad time."""
    names = CASES[case]
    first = next(iter(names))
    targets = [{"model": name} for name in names]
    policy: list[dict[str, Any]] = [{"stage": "failover", "targets": targets}]
    world = World(
        {
            name: provider(places, kind if name == first else None, seed)
            for name, places in names.items()
        },
        {first: Trouble(START, END, 0.5)} if kind == "brownout" else {},
        [] if naive else policy,
        seed,
    )
    if naive:
        stage, relay = Naive(world.tools, 3), world.chain
        world.chain = lambda exchange: stage(exchange, relay)
    world.start(world.arrive(RATE, UNTIL))
    await world.run(UNTIL + 70)
    tries = sorted(each for provider in world.providers.values() for each in provider.asked)
    return outcome(world.answers, tries)


def outcome(answers: Sequence[Answer], tries: Sequence[tuple[float, str]]) -> Outcome:
    """Fold what happened into figures. A request counts for P4 when it is first sent."""
    seconds = range(int(UNTIL))
    asked, good, tried, sent = ([0] * (int(UNTIL) + 200) for _ in range(4))
    for answer in answers:
        asked[int(answer.asked)] += 1
        good[int(answer.asked)] += answer.good
    known: set[str] = set()
    for at, name in tries:
        tried[int(at)] += 1
        sent[int(at)] += name not in known
        known.add(name)
    share = [sum(good[s : s + 5]) / max(1, sum(asked[s : s + 5])) for s in seconds]
    attempts = [float(sum(tried[s : s + WINDOW])) for s in seconds]
    allowed = [1.10 * sum(sent[s : s + WINDOW]) + 30 for s in seconds]
    came = [1.10 * sum(asked[s : s + WINDOW]) + 30 for s in seconds]
    low = [s for s in range(int(END), int(UNTIL) - 5) if share[s] < SERVED]
    inside = range(int(START), int(END))
    return Outcome(
        goodput=share,
        attempts=attempts,
        allowed=allowed,
        during=sum(good[s] for s in inside) / sum(asked[s] for s in inside),
        recovered=low[-1] + 1 - END if low else 0.0,
        excess=max(a - b for a, b in zip(attempts, allowed, strict=True)),
        late=max(a - b for a, b in zip(attempts, came, strict=True)),
    )


def report() -> tuple[list[str], list[Panel]]:
    """Run every way; return the lines of the report and the charts."""
    lines = [
        f"brown-out of {END - START:.0f} s at {RATE:g} requests a second, in virtual time",
        f"{'':46} good in it   95 % again after   worst 10 s against P4",
    ]
    charts: list[Panel] = []
    for case in CASES:
        ours = asyncio.run(run(case, naive=False))
        theirs = asyncio.run(run(case, naive=True))
        for name, found in (("turnout", ours), ("three tries always", theirs)):
            lines.append(
                f"{case + ': ' + name:46} {found.during:10.1%} {_recovery(found):>18}"
                f" {found.excess:+17.0f} tries"
            )
        charts += panels(case, ours, theirs)
    return lines, charts


def _recovery(found: Outcome) -> str:
    never = END + found.recovered >= UNTIL - WINDOW
    return "not at all" if never else f"{found.recovered:.0f} s"


def panels(title: str, ours: Outcome, theirs: Outcome) -> list[Panel]:
    """Return the charts of one case."""
    points = range(len(ours.goodput))
    return [
        Panel(
            f"{title}: good answers, share",
            [
                Line("turnout", "#1f6f54", [(s, ours.goodput[s]) for s in points]),
                Line("three tries always", "#b3541e", [(s, theirs.goodput[s]) for s in points]),
            ],
            (START, END),
        ),
        Panel(
            f"{title}: tries in 10 s",
            [
                Line("turnout", "#1f6f54", [(s, ours.attempts[s]) for s in points]),
                Line("three tries always", "#b3541e", [(s, theirs.attempts[s]) for s in points]),
                Line("allowed (P4)", "#777", [(s, ours.allowed[s]) for s in points], dashed=True),
            ],
            (START, END),
        ),
    ]
