"""The cold start: how demanding a request looks, by rules that can be read.

Nothing here is trained. A longer request weighs more, in the logarithm of its words with a
meaning; code, maths and stated demands add to that, each up to a limit of its own. It orders
requests; what it says is no probability, and its limits between tiers come from the traffic.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from gateway.stages.complexity_router.features import NAMES, Shape


class Part(Struct, frozen=True):
    """How much one thing about a request adds to its score."""

    name: str
    points: float


class _Rule(Struct, frozen=True):
    most: float
    weights: Mapping[str, float]


RULES: Final[Mapping[str, _Rule]] = {
    "length": _Rule(10.0, {"words": 1.0}),
    "code": _Rule(2.0, {"code words": 1.0, "languages": 1.0, "brackets": 0.5}),
    "maths": _Rule(1.5, {"maths words": 0.5, "operators": 0.5, "backslashes": 0.5}),
    "demands": _Rule(1.5, {"demands": 0.4, "formats": 0.4, "analysis": 0.4, "making": 0.4}),
}
MOST_POINTS: Final = sum(rule.most for rule in RULES.values())
_PLACES: Final = {
    name: (rule.most, [(NAMES.index(each), weight) for each, weight in rule.weights.items()])
    for name, rule in RULES.items()
}


def rules_score(shape: Shape) -> float:
    """Return how demanding a request looks: 0 for an empty one, 15 at most."""
    return sum(part.points for part in rules_parts(shape))


def rules_parts(shape: Shape) -> list[Part]:
    """Return what the score is made of, in the order of the rules."""
    values = shape.values
    return [
        Part(name, min(most, sum([values[place] * weight for place, weight in weights])))
        for name, (most, weights) in _PLACES.items()
    ]
