"""Traffic that grows harder while two processes calibrate: at once, and over two days."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import fmean
from typing import Final

from msgspec import Struct

from gateway.core.catalogue import Price
from gateway.stages.complexity_router.calibration.calibrator import Calibrator, Route
from gateway.stages.complexity_router.calibration.sketch import BINS, Sketch
from gateway.stages.complexity_router.calibration.targets import Target
from gateway.stages.complexity_router.calibration.thresholds import Thresholds
from gateway.state.tallies import SharedTallies
from gateway.state.tallies_memory import in_memory
from gateway.trial.clock import TrialClock
from loadtest.failover.plot import Line, Panel

WANTED: Final = 0.3
HOURS: Final = 48
STEP_AT: Final = 12
"""The hour from which traffic is harder."""
HARDER: Final = 0.12
"""What scores are higher by then: thresholds that stayed would send twice as much up."""
A_MINUTE: Final = 20
"""Requests of both processes together."""
_MIDDLE: Final = 0.4
_SPREAD: Final = 0.15
_PRICES: Final = (Price(0.15, 0.60), Price(3.0, 15.0))

Shift = Callable[[float], float]
"""How much higher scores are at an hour."""


class Run(Struct, frozen=True):
    """What came of it. Hours are counted from the first request."""

    calibrated: Sequence[float]
    """The share that went up, by hour."""
    fixed: Sequence[float]
    """The same with the first thresholds for ever."""
    alarms: Sequence[tuple[float, bool]]
    """The hours at which a guard alarmed, or took that back (True)."""
    fastest: float
    """The most that the threshold moved in any hour, in shares of the traffic at that time."""


def at_once(hour: float) -> float:
    """Return the shift of traffic that changes from one minute to the next."""
    return HARDER if hour >= STEP_AT else 0.0


def slowly(hour: float) -> float:
    """Return the shift of traffic that changes over two days."""
    return HARDER * hour / HOURS


async def run(shift: Shift, seed: int = 1) -> Run:
    """Send two days of requests."""
    clock, exchange, chance = TrialClock(wall=0.0), in_memory(), Random(seed)
    route = Route("auto", "drift", Target(shares=(1 - WANTED, WANTED)), _PRICES)
    tallies = [SharedTallies(exchange, clock.uptime, clock) for _ in range(2)]
    both = [Calibrator(route, each, clock.uptime, Random(seed)) for each in tallies]
    up, fixed, decided = ([0] * HOURS for _ in range(3))
    alarms: list[tuple[float, bool]] = []
    moves: list[float] = []
    first: Thresholds | None = None
    for minute in range(HOURS * 60):
        hour = minute / 60
        before, sketch = both[0].thresholds, both[0].sketch
        for number in range(A_MINUTE):
            score = min(1.0, max(0.0, chance.gauss(_MIDDLE + shift(hour), _SPREAD)))
            placed = both[number % 2].place(score)
            first = first or both[0].thresholds
            if placed.tier is None or first is None:
                continue
            up[int(hour)] += placed.tier
            fixed[int(hour)] += first.tier(score * BINS)
            decided[int(hour)] += 1
            if placed.drift:
                alarms.append((hour, placed.drift.over))
        moves.append(_distance(sketch, before, both[0].thresholds))
        clock.now += 60
        for each in tallies:
            await each.look()
    fastest = max(sum(moves[at : at + 60]) for at in range(len(moves)))
    return Run(_shares(up, decided), _shares(fixed, decided), alarms, fastest)


async def report() -> tuple[Sequence[str], Sequence[Panel]]:
    """Return what both runs show, as text and as charts."""
    lines: list[str] = []
    panels: list[Panel] = []
    for title, shift in (
        (f"Harder from hour {STEP_AT} on", at_once),
        ("Harder day by day", slowly),
    ):
        found = await run(shift)
        lines += [f"{title}:", *_told(found), ""]
        panels.append(_panel(title, found))
    return lines, panels


def _told(found: Run) -> Iterator[str]:
    last = fmean(found.calibrated[-6:]), fmean(found.fixed[-6:])
    yield f"  share up in the last six hours {last[0]:.1%}, with fixed thresholds {last[1]:.1%}"
    yield f"  fastest move {100 * found.fastest:.2f} points in an hour"
    for hour, over in found.alarms:
        yield f"  hour {hour:.1f}: {'the alarm is over' if over else 'alarm'}"
    if not found.alarms:
        yield "  no alarm"


def _panel(title: str, found: Run) -> Panel:
    hours = [number + 0.5 for number in range(HOURS)]
    lines = [
        Line("calibrated", "#1b6f3a", _points(hours, found.calibrated)),
        Line("fixed", "#b23a2e", _points(hours, found.fixed)),
        Line("wanted", "#555", [(0, 100 * WANTED), (HOURS, 100 * WANTED)], dashed=True),
    ]
    begun = [hour for hour, over in found.alarms if not over]
    ended = [hour for hour, over in found.alarms if over]
    shaded = (min(begun), max(ended, default=float(HOURS))) if begun else None
    return Panel(f"{title}: % sent up", lines, shaded, unit=" h")


def _points(hours: Sequence[float], shares: Sequence[float]) -> Sequence[tuple[float, float]]:
    return [(hour, 100 * share) for hour, share in zip(hours, shares, strict=True)]


def _distance(sketch: Sketch, before: Thresholds | None, now: Thresholds | None) -> float:
    """Return by how much of the traffic that was known the threshold moved."""
    if before is None or now is None:
        return 0.0
    return abs(sketch.below(now.places[0]) - sketch.below(before.places[0]))


def _shares(counts: Sequence[int], decided: Sequence[int]) -> Sequence[float]:
    return [count / of for count, of in zip(counts, decided, strict=True)]
