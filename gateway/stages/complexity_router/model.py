"""Scores: how much a stronger model is expected to help with a request."""

from collections.abc import Sequence
from math import sqrt
from typing import Protocol

from gateway.stages.complexity_router.artefact import PairModel, wording_weights
from gateway.stages.complexity_router.features import NAMES, Shape
from gateway.stages.complexity_router.isotonic import interpolated
from gateway.stages.complexity_router.ngrams import places_of
from gateway.stages.complexity_router.ridge import Scaling, dot
from gateway.stages.complexity_router.rules import Part, rules_parts, rules_score


class Scorer(Protocol):
    """What orders requests: those with the highest scores gain most from a stronger model.

    Scores of different scorers do not compare.
    """

    def score(self, shape: Shape) -> float:
        """Return a finite score."""

    def parts(self, shape: Shape) -> list[Part]:
        """Return what the score is made of, the weightiest first. The points add up to it."""


class Rules:
    """The cold start: rules alone."""

    def score(self, shape: Shape) -> float:
        """Return how demanding the request looks."""
        return rules_score(shape)

    def parts(self, shape: Shape) -> list[Part]:
        """Return what each rule adds."""
        return _weightiest(rules_parts(shape))


class Learned:
    """One pair of models, as it was trained. Raises ValueError for wording of another size."""

    def __init__(self, model: PairModel) -> None:
        weights = [model.features[name] for name in NAMES]
        self._scaling = Scaling([each.mean for each in weights], [each.scale for each in weights])
        self._weights = [each.weight for each in weights]
        self._mean = model.mean_gain
        self._share = model.learned_share
        self._rules = model.rules
        self._knots = model.knots
        self._wording = wording_weights(model.wording) if model.wording else None
        self._step = model.wording.scale if model.wording else 0.0

    def score(self, shape: Shape) -> float:
        """Return the expected gain, in the labels' unit, before what scores have come to."""
        learned = dot(self._scaling.of(shape.values), self._weights) + self._worded(shape.tokens)
        rules = (rules_score(shape) - self._rules.mean) * self._rules.scale
        return self._mean + self._share * learned + (1 - self._share) * rules

    def gain(self, score: float) -> float:
        """Return the mean gain that requests of this score have had."""
        return interpolated(self._knots, score)

    def parts(self, shape: Shape) -> list[Part]:
        """Return what each feature, the wording and the rules add to the mean gain."""
        scaled = zip(NAMES, self._scaling.of(shape.values), self._weights, strict=True)
        parts = [Part(name, self._share * value * weight) for name, value, weight in scaled]
        parts.append(Part("wording", self._share * self._worded(shape.tokens)))
        rules = (rules_score(shape) - self._rules.mean) * self._rules.scale
        parts.append(Part("rules", (1 - self._share) * rules))
        parts.append(Part("mean gain", self._mean))
        return _weightiest(parts)

    def _worded(self, tokens: Sequence[str]) -> float:
        if self._wording is None:
            return 0.0
        places = places_of(tokens)
        steps = sum(map(self._wording.__getitem__, places))
        return steps * self._step / sqrt(len(places) or 1)


def _weightiest(parts: list[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: -abs(part.points))
