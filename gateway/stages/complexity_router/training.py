"""Training: ridge regression on the gain of the stronger model, for each pair of models.

On the gain, not on how often the weaker one fails: what both get wrong is not worth a dear try.
The penalties were chosen on RouteLLM's MMLU and GSM8K rows, where a third or three times as much
moves APGR by less than its deviation between draws; they hold for any number of rows.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Container, Sequence
from math import sqrt
from typing import Final

from gateway.stages.complexity_router.artefact import (
    FORMAT,
    MOST_WEIGHT,
    Artefact,
    Measured,
    PairModel,
    RulesScale,
    Threshold,
    Weight,
    Wording,
)
from gateway.stages.complexity_router.features import NAMES
from gateway.stages.complexity_router.isotonic import isotonic
from gateway.stages.complexity_router.labelled import Example, by_pair, digest
from gateway.stages.complexity_router.metrics import Routing, Scored, quantile, routing
from gateway.stages.complexity_router.model import Learned
from gateway.stages.complexity_router.ngrams import PLACES
from gateway.stages.complexity_router.ridge import dense_ridge, dot, scaling, sparse_ridge

FEWEST: Final = 50
"""Rows of a pair from which there is something to learn, and that a knot stands for."""
WORDING_FROM: Final = 500
"""Rows of a pair from which wording is learned beside the features."""
TRUSTED_AT: Final = 200
"""Rows at which what is learned counts as much as the rules."""
FOLDS: Final = 5
_PENALTY: Final = 1000.0
_WORDING_PENALTY: Final = 10.0
_DIGITS: Final = 6
"""What is kept behind the point: the file is for people too."""
_SHARES: Final = tuple(part / 20 for part in range(21))

Told = Callable[[str], None]


def train(examples: Sequence[Example], tell: Told) -> Artefact:
    """Return what is learned from all that is labelled; `tell` hears of the progress.

    The same rows in the same order give the same artefact. Raises ValueError where no pair has
    `FEWEST` rows.
    """
    pairs: dict[str, PairModel] = {}
    for pair, rows in by_pair(examples).items():
        if len(rows) < FEWEST:
            tell(f"{pair}: {len(rows):,} rows are too few to learn from ({FEWEST} are needed)")
            continue
        pairs[pair] = _judged(rows)
        tell(f"{pair}: learned from {len(rows):,} rows, {_worth(pairs[pair].measured)}")
    if not pairs:
        raise ValueError(f"no pair of models has {FEWEST} labelled rows")
    used = _used(examples, pairs)
    sources = Counter(each.row.source for each in used)
    return Artefact(FORMAT, digest(used), dict(sorted(sources.items())), pairs)


def trained_on_these(artefact: Artefact, examples: Sequence[Example]) -> bool:
    """Return whether an artefact has seen exactly these rows: they say nothing about it."""
    return digest(_used(examples, artefact.pairs)) == artefact.trained_on


def _used(examples: Sequence[Example], pairs: Container[str]) -> list[Example]:
    """Return the rows of some pairs, in the order they are learned in."""
    found = by_pair(examples).items()
    return [each for pair, rows in found if pair in pairs for each in rows]


def fit(rows: Sequence[Example]) -> PairModel:
    """Return a model of one pair, which nobody has measured: its knot is the mean gain."""
    columns = [each.shape.values for each in rows]
    mean = sum(each.gain for each in rows) / len(rows)
    scaled_by = scaling(columns)
    scaled = [scaled_by.of(values) for values in columns]
    targets = [each.gain - mean for each in rows]
    weights = dense_ridge(scaled, targets, _PENALTY)
    learned = [dot(values, weights) for values in scaled]
    wording = None
    if len(rows) >= WORDING_FROM:
        rest = [target - told for target, told in zip(targets, learned, strict=True)]
        wording = _packed(
            sparse_ridge([each.places for each in rows], rest, PLACES, _WORDING_PENALTY)
        )
    kept = zip(NAMES, scaled_by.means, scaled_by.scales, weights, strict=True)
    features = {name: Weight(*map(_rounded, each)) for name, *each in kept}
    share = _rounded(len(rows) / (len(rows) + TRUSTED_AT))
    return PairModel(
        rows=len(rows),
        mean_gain=_rounded(mean),
        learned_share=share,
        rules=_rules_scale([each.rules for each in rows], learned),
        features=features,
        wording=wording,
        knots=[(_rounded(mean), _rounded(mean))],
        thresholds=[],
        measured=Measured(None, None, None, None),
    )


def crosswise(rows: Sequence[Example], order: Sequence[int]) -> list[float]:
    """Return each row's score from a model that was fitted without its fold.

    `order` says which rows share a fold: equal parts of it, one after the other.
    """
    scores = [0.0] * len(rows)
    for fold in range(FOLDS):
        held = set(order[fold * len(rows) // FOLDS : (fold + 1) * len(rows) // FOLDS])
        scorer = Learned(fit([row for at, row in enumerate(rows) if at not in held]))
        for at in held:
            scores[at] = scorer.score(rows[at].shape)
    return scores


def _judged(rows: Sequence[Example]) -> PairModel:
    """Return a model with what its scores come to, from rows that it had not seen."""
    # Files put what is alike together, so a fold takes every fifth row.
    order = [at for fold in range(FOLDS) for at in range(fold, len(rows), FOLDS)]
    scores = crosswise(rows, order)
    knots = isotonic(scores, [row.gain for row in rows], FEWEST)
    ordered = sorted(scores)
    found = routing([Scored(s, r.weak, r.strong) for s, r in zip(scores, rows, strict=True)])
    length = routing([Scored(len(r.row.prompt), r.weak, r.strong) for r in rows])
    model = fit(rows)
    return PairModel(
        rows=model.rows,
        mean_gain=model.mean_gain,
        learned_share=model.learned_share,
        rules=model.rules,
        features=model.features,
        wording=model.wording,
        knots=[(_rounded(score), _rounded(gain)) for score, gain in knots],
        thresholds=[Threshold(each, _rounded(quantile(ordered, 1 - each))) for each in _SHARES],
        measured=_measured(found, length),
    )


def _worth(measured: Measured) -> str:
    """Return what people are told of a model that has just been trained."""
    if measured.apgr is None or measured.length_apgr is None:
        return "but the stronger model is no better on them"
    found = f"APGR {measured.apgr:.3f} on those unseen, length alone {measured.length_apgr:.3f}"
    worse = measured.apgr <= measured.length_apgr
    return f"{found}: not worth routing by" if worse else found


def _measured(found: Routing | None, length: Routing | None) -> Measured:
    if found is None or length is None:
        return Measured(None, None, None, None)
    return Measured(*map(_rounded, (found.apgr, found.cpt50, found.cpt80, length.apgr)))


def _rules_scale(rules: Sequence[float], learned: Sequence[float]) -> RulesScale:
    """Return what makes the rules' scores spread as far as what was learned."""
    mean = sum(rules) / len(rules)
    spread = _deviation(rules)
    return RulesScale(_rounded(mean), _rounded(_deviation(learned) / spread) if spread else 0.0)


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sqrt(sum([(value - mean) ** 2 for value in values]) / len(values))


def _packed(weights: Sequence[float]) -> Wording:
    """Return weights in steps of a 127th of the largest: a byte each loses nothing that counts."""
    most = max(map(abs, weights))
    steps = [round(weight / most * MOST_WEIGHT) if most else 0 for weight in weights]
    data = bytes(step % 256 for step in steps)
    return Wording(float(f"{most / MOST_WEIGHT:.6g}"), b64encode(data).decode())


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
