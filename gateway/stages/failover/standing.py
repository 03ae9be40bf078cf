"""In which order targets stand now and by what, for people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, Final

from gateway.stages.failover.strategies import Strategy
from gateway.stages.failover.targets import Candidate, Group

Score = Callable[[Candidate, float], tuple[float, str]]
"""What a strategy goes by, the least first, and how to say it."""
_KNOWN: Final = 1e5
"""Seconds above which a speed stands for one that nobody has measured."""


def standing(strategy: Strategy, group: Group, now: float) -> Mapping[str, Any]:
    """Return the order of one group's targets; those that a draw comes before stand by chance."""
    score = _SCORES[strategy]
    ranked = sorted(group.candidates, key=lambda each: score(each, now)[0])
    if group.budget.low:  # as `Walk` does
        ranked.sort(key=lambda each: each.condition.breaker.failing())
    return {
        "strategy": strategy,
        "retries_low": group.budget.low,
        "targets": [
            {
                "provider": each.model.provider,
                "model": each.model.name,
                "by": score(each, now)[1],
                "but": list(_troubles(each, now)),
            }
            for each in ranked
        ],
    }


def _troubles(candidate: Candidate, now: float) -> Iterator[str]:
    """Yield why a target is passed over, or put behind while the retry budget is nearly spent."""
    condition = candidate.condition
    if not condition.key.closed:
        yield "key refused"
    if not condition.breaker.closed:
        yield "left alone"
    elif condition.breaker.failing():
        yield "often fails"
    if condition.paused_until > now:
        yield "paused"
    if candidate.slots.full:
        yield "full"


def _listed(_candidate: Candidate, _now: float) -> tuple[float, str]:
    return 0, ""


def _share(candidate: Candidate, _now: float) -> tuple[float, str]:
    return -candidate.weight, f"weight {candidate.weight:g}"


def _wait(candidate: Candidate, now: float) -> tuple[float, str]:
    condition = candidate.condition
    seconds = condition.speed.cost(condition.outstanding, now)
    return seconds, f"{seconds:.2f} s" if seconds < _KNOWN else "not measured"


def _bound(candidate: Candidate, _now: float) -> tuple[float, str]:
    bound = candidate.condition.record.bound()
    return -bound, f"{bound:.3f}"


def _price(candidate: Candidate, _now: float) -> tuple[float, str]:
    price = candidate.model.price
    if price is None:
        return inf, "no price"
    return price.input + price.output, f"${price.input:g} + ${price.output:g}"


def _load(candidate: Candidate, _now: float) -> tuple[float, str]:
    load = candidate.condition.outstanding / candidate.weight
    return load, f"load {load:g}"


_SCORES: Final[Mapping[Strategy, Score]] = {
    "ordered": _listed,
    "weighted": _share,
    "fastest": _wait,
    "reliable": _bound,
    "cheapest": _price,
    "balanced": _load,
}


def standings(strategy: Strategy, groups: Sequence[Group], now: float) -> list[Mapping[str, Any]]:
    """Return the order of each group that has anybody to choose among."""
    return [standing(strategy, each, now) for each in groups if len(each.candidates) > 1]
