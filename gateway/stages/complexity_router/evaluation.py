"""How well requests of known outcome are routed, beside length, rules and chance.

Without an artefact each source is learned from its own rows and judged on others: 1,500 are
learned from where there are 3,000 or more, five folds where there are less; drawn anew a number
of times. With an artefact every row is judged as it is.
"""

from collections.abc import Container, Mapping, Sequence
from math import sqrt
from random import Random
from typing import Final

from msgspec import Struct

from gateway.stages.complexity_router.artefact import Artefact
from gateway.stages.complexity_router.keyword_rules import keyword_score
from gateway.stages.complexity_router.labelled import UNNAMED, Example, by_source
from gateway.stages.complexity_router.metrics import Routing, Scored, quantile, routing
from gateway.stages.complexity_router.model import Learned
from gateway.stages.complexity_router.training import FEWEST, Told, crosswise, fit

SPLIT_FROM: Final = 3000
LEARNED_FROM: Final = 1500
SEEN: Final = 200
"""Prompts without labels that a threshold is taken from."""
TARGET: Final = 0.3
"""The share that is then asked for."""
SHARE_DRAWS: Final = 50
NEAR: Final = 6.0
"""Points around the target that are near enough."""
_REST: Final = 100
"""Rows that must remain to be judged."""
OURS: Final = "turnout"
METHODS: Final = (OURS, "cold start", "length", "keyword rules", "random")


class Tested(Struct, frozen=True):
    """A row and its score, from a scorer that had not seen it."""

    example: Example
    score: float
    learned: bool
    """Whether the score is an expected gain. Scores of the rules do not compare with those."""


class Figure(Struct, frozen=True):
    """One method on one set of rows, over all draws."""

    apgr: float
    apgr_deviation: float
    cpt50: float
    cpt80: float


class Share(Struct, frozen=True):
    """What share the stronger model got where 30 % was asked for."""

    error_points: float
    """The mean share, less 30, over 50 draws."""
    near: float
    """The part of the draws within 6 points."""


class Report(Struct, frozen=True):
    """What was measured. `overall` leaves out what rules had to judge beside what was learned."""

    rows: int
    draws: int
    tested: Mapping[str, int]
    """Rows a draw, by source."""
    overall: Mapping[str, Figure]
    """By method."""
    by_source: Mapping[str, Mapping[str, Figure]]
    """Sources whose stronger model is no better are not in it: no gap can be closed."""
    shares: Mapping[str, Share]


def evaluate(
    examples: Sequence[Example], artefact: Artefact | None, draws: int, tell: Told
) -> Report:
    """Measure; `tell` hears of the progress. The same rows give the same report."""
    sources = by_source(examples)
    known = _scorers(artefact) if artefact else None
    found: dict[str, list[dict[str, Routing]]] = {}
    pooled: list[dict[str, Routing]] = []
    first: dict[str, list[Tested]] = {}
    if known is not None and (others := _others(examples, known)):
        tell(f"{others:,} rows are of pairs that it was not trained for: rules judge those")
    draws = 1 if artefact else draws
    for draw in range(draws):
        chance = Random(draw)  # noqa: S311 - the same draws every time are wanted
        tested = {name: _tested(rows, known, chance) for name, rows in sources.items()}
        first = first or tested
        for name, rows in tested.items():
            found.setdefault(name, []).append(_methods(rows, chance))
        together = [each for rows in tested.values() for each in rows]
        pooled.append(_methods([row for row in together if row.learned] or together, chance))
        tell(f"draw {draw + 1} of {draws} is measured")
    return Report(
        rows=len(examples),
        draws=draws,
        tested={name: sum(row.example.labelled for row in rows) for name, rows in first.items()},
        overall=_figures(pooled),
        by_source={name: told for name, each in found.items() if (told := _figures(each))},
        shares={name: share for name, rows in first.items() if (share := _share(rows))},
    )


def _others(examples: Sequence[Example], known: Container[str]) -> int:
    return sum((row.row.pair or UNNAMED) not in known for row in examples if row.labelled)


def _scorers(artefact: Artefact) -> dict[str, Learned]:
    return {pair: Learned(model) for pair, model in artefact.pairs.items()}


def _tested(
    rows: Sequence[Example], known: Mapping[str, Learned] | None, chance: Random
) -> list[Tested]:
    """Return rows of one source with the scores of this draw."""
    if known is not None:
        return [_scored(row, known.get(row.row.pair or UNNAMED)) for row in rows]
    labelled = [row for row in rows if row.labelled]
    if len(labelled) < FEWEST:
        return [_scored(row, None) for row in rows]
    order = list(range(len(labelled)))
    chance.shuffle(order)
    if len(labelled) >= SPLIT_FROM:
        scorer = Learned(fit([labelled[at] for at in order[:LEARNED_FROM]]))
        return [_scored(labelled[at], scorer) for at in order[LEARNED_FROM:]]
    scores = crosswise(labelled, order)
    return [Tested(row, score, learned=True) for row, score in zip(labelled, scores, strict=True)]


def _scored(row: Example, scorer: Learned | None) -> Tested:
    if scorer is None:
        return Tested(row, row.rules, learned=False)
    return Tested(row, scorer.score(row.shape), learned=True)


def _methods(rows: Sequence[Tested], chance: Random) -> dict[str, Routing]:
    """Return each method's metrics, none where there is no gap to close."""
    labelled = [row for row in rows if row.example.labelled]
    scores: dict[str, list[float]] = {
        OURS: [row.score for row in labelled],
        "cold start": [row.example.rules for row in labelled],
        "length": [float(len(row.example.row.prompt)) for row in labelled],
        "keyword rules": [keyword_score(row.example.row.prompt) for row in labelled],
        "random": [chance.random() for _ in labelled],
    }
    found: dict[str, Routing] = {}
    for method, each in scores.items():
        told = routing(
            [
                Scored(score, row.example.weak, row.example.strong)
                for score, row in zip(each, labelled, strict=True)
            ]
        )
        if told:
            found[method] = told
    return found


def _figures(draws: Sequence[Mapping[str, Routing]]) -> dict[str, Figure]:
    figures = {}
    for method in METHODS:
        told = [draw[method] for draw in draws if method in draw]
        if told:
            figures[method] = Figure(
                apgr=_mean([each.apgr for each in told]),
                apgr_deviation=_deviation([each.apgr for each in told]),
                cpt50=_mean([each.cpt50 for each in told]),
                cpt80=_mean([each.cpt80 for each in told]),
            )
    return figures


def _share(rows: Sequence[Tested]) -> Share | None:
    """Return what a threshold from some prompts, their labels unseen, comes to on the others."""
    if len(rows) < SEEN + _REST:
        return None
    scores = [row.score for row in rows]
    errors = []
    for draw in range(SHARE_DRAWS):
        Random(draw).shuffle(scores)  # noqa: S311 - the same draws every time are wanted
        threshold = quantile(sorted(scores[:SEEN]), 1 - TARGET)
        above = sum(score >= threshold for score in scores[SEEN:])
        errors.append(100 * (above / len(scores[SEEN:]) - TARGET))
    return Share(_mean(errors), _mean([abs(error) <= NEAR for error in errors]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _deviation(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sqrt(_mean([(value - mean) ** 2 for value in values]))
