"""From a request to a tier by its score: the calibrated one, or the rules of the cold start."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple

from gateway.core import wire
from gateway.core.catalogue import Model, Price
from gateway.core.notes import Step
from gateway.core.ports import Tools
from gateway.core.reply import Usage
from gateway.stages.complexity_router.artefact import Artefact
from gateway.stages.complexity_router.calibration.calibrator import Calibrator, Route
from gateway.stages.complexity_router.calibration.guard import Drift
from gateway.stages.complexity_router.calibration.targets import Target
from gateway.stages.complexity_router.features import Asked, Shape, shape
from gateway.stages.complexity_router.model import Learned, Rules, Scorer
from gateway.stages.complexity_router.rules import MOST_POINTS, RULES, rules_score

START_AT: Final[Mapping[int, Sequence[float]]] = {2: (4.5,), 3: (3.5, 5.0), 4: (3.0, 4.0, 5.5)}
"""The rules' scores from which a request goes to the next tier, while nothing is calibrated.

Of AlpacaEval's prompts 68 % score below 3.5 and 9 % from 5 on, of arena-hard's 31 and 34 %.
"""
_FREE: Final = Price(input=0, output=0)


class Scored(NamedTuple):
    """A tier, by what, and why."""

    tier: int
    step: Step
    reason: str
    drift: str = ""
    """News of shares that are not as wanted, or are again."""


class Scale(NamedTuple):
    """One score, and which tiers it tells apart: `tiers` of them from `first` on."""

    first: int
    tiers: int
    score: str
    scorer: Scorer
    span: tuple[float, float]
    target: Target


def scales(
    models: Sequence[str], target: Target, artefact: Artefact | None, version: str
) -> Sequence[Scale]:
    """Return by which scores tiers of these models are told apart, the lowest ones first.

    What was learned of neighbours is a score for each two of them, and a request climbs; a cost or
    a quality is aimed at with one score, that of the lowest and the highest. `version` tells
    artefacts apart. Raises ValueError naming what the artefact lacks.
    """
    if artefact is None:
        rules = sha256(wire.encode(RULES)).hexdigest()
        return (Scale(0, len(models), f"rules/{rules}", Rules(), (0.0, MOST_POINTS), target),)
    steps = [f"{weak}|{strong}" for weak, strong in pairwise(models)]
    whole = f"{models[0]}|{models[-1]}"
    if target.shares is not None and all(pair in artefact.pairs for pair in steps):
        return [
            _learned(artefact, pair, version, first=index, tiers=2, target=above)
            for (index, pair), above in zip(enumerate(steps), _steps(target.shares), strict=True)
        ]
    if whole in artefact.pairs:
        return (_learned(artefact, whole, version, first=0, tiers=len(models), target=target),)
    lacking = [pair for pair in steps if pair not in artefact.pairs]
    if target.shares is None or len(models) == len(steps):
        lacking = [whole]
    raise ValueError(f"it was not trained for {' or '.join(lacking)}.")


def _learned(
    artefact: Artefact, pair: str, version: str, *, first: int, tiers: int, target: Target
) -> Scale:
    model = artefact.pairs[pair]
    scores = [each.score for each in model.thresholds] + [score for score, _ in model.knots]
    low, high = min(scores), max(scores)
    margin = (high - low) / 4 or 0.1  # what comes later may lie a little beyond
    span = (low - margin, high + margin)
    return Scale(first, tiers, f"{pair}/{version}", Learned(model), span, target)


def _steps(shares: Sequence[float]) -> Iterator[Target]:
    """Yield the part of the requests that came to a tier which goes on to the next one."""
    for index in range(1, len(shares)):
        here, above = sum(shares[index - 1 :]), sum(shares[index:])
        up = min(1.0, above / here) if here > 0 else 0.0
        yield Target(shares=(1.0 - up, up))


class Scoring:
    """Places the requests of one route. `name` is what its counts are kept under."""

    def __init__(
        self, name: str, planned: Sequence[Scale], models: Sequence[Model], tools: Tools
    ) -> None:
        self._steps = [(each, _calibrator(name, each, models, tools)) for each in planned]
        self._start = START_AT[len(models)]
        self._models = [each.name for each in models]

    def place(self, asked: Asked, fallback: int) -> Scored:
        """Return the tier; `fallback` where the features say nothing of the script."""
        found = shape(asked)
        if not found.known_script:
            return Scored(fallback, "fallback", "another script than the features know")
        tier, drift = 0, ""
        for scale, calibrator in self._steps:
            placed = calibrator.place(scale.scorer.score(found))
            if placed.drift is not None:
                drift = self._told(scale, placed.drift)
            if placed.tier is None:
                least = scale.first  # which the scores below it say already
                return Scored(max(least, self._cold(found)), "start", placed.reason)
            tier = scale.first + placed.tier
            if not placed.tier:
                break
        return Scored(tier, "score", "calibrated", drift)

    def spent(self, tier: int, usage: Usage) -> None:
        """Count what a request used at a tier."""
        for scale, calibrator in self._steps:
            if scale.first <= tier < scale.first + scale.tiers:
                calibrator.spent(tier - scale.first, usage.input, usage.output)

    def _told(self, scale: Scale, drift: Drift) -> str:
        name = self._models[scale.first + drift.tier]
        beyond = drift.tier and scale.first + scale.tiers < len(self._models)
        which = f"{name} and above" if beyond else name
        state = "as wanted again" if drift.over else f"not {drift.wanted:.0%}"
        return f"{which} gets {drift.realised:.0%} of requests, {state}"

    def _cold(self, found: Shape) -> int:
        return bisect_right(self._start, rules_score(found))


def _calibrator(name: str, scale: Scale, models: Sequence[Model], tools: Tools) -> Calibrator:
    prices = [each.price or _FREE for each in models[scale.first : scale.first + scale.tiers]]
    route = Route(name, scale.score, scale.target, prices, scale.span)
    return Calibrator(route, tools.state.tallies, tools.state.limiter.now, tools.runtime.random)
