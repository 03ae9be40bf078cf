"""How often a semantic look-up would hit, and how often wrongly, by pairs of known meaning."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import mul
from typing import Final

from msgspec import Struct

from gateway.core.embedding import Embedded
from gateway.stages.semantic_cache.evidence import facts, unfit, veto
from gateway.stages.semantic_cache.question import normal

LOWEST: Final = 0.8
"""The least threshold that a policy may have."""
STEPS: Final = 40
"""Thresholds that are tried from there to 1."""


class Pair(Struct, frozen=True):
    """Two questions: `b` is asked when an answer to `a` is stored. `y`: 1 when that answers it."""

    a: str
    b: str
    y: int


class Outcome(Struct, frozen=True):
    """What a look-up of one pair would find."""

    right: bool
    cosine: float
    gate: str = ""
    """What keeps the two apart, whatever the cosine; only asked from `LOWEST` on."""
    exact: bool = False
    """They are one question in normal form: no look-up by likeness is needed."""


class Score(Struct, frozen=True):
    """What a threshold makes of all pairs."""

    threshold: float
    gates: bool
    lookups: int
    hits: int
    exact: int
    wrong: int
    positives: int
    """Those that a stored answer fits: pairs that want one answer."""
    negatives: int
    """Those that none fits of what is stored and near: pairs that want two answers."""
    negatives_hit: int
    unknown: int = 0
    """Hits of which nobody knows whether they are right or wrong."""

    @property
    def right(self) -> int:
        """Hits that are known to be right."""
        return self.hits - self.wrong - self.unknown

    @property
    def precision(self) -> float:
        """Right hits among those that are known to be right or wrong."""
        return _share(self.right, self.hits - self.unknown)

    @property
    def recall(self) -> float:
        """Right hits among what a stored answer fits."""
        return _share(self.right, self.positives)

    @property
    def wrong_per_lookup(self) -> float:
        """Wrong hits among all look-ups."""
        return _share(self.wrong, self.lookups)

    @property
    def negatives_served(self) -> float:
        """Hits among what no stored answer fits."""
        return _share(self.negatives_hit, self.negatives)


class Measured(Struct, frozen=True):
    """What was looked up, to be scored at any threshold."""

    what: str
    """In words."""
    score: Callable[[float, bool], Score]
    """By threshold, and whether gates are asked."""
    vetoes: Callable[[float], Mapping[str, tuple[int, int]]]
    """By threshold: for every gate how many right and wrong hits it kept from being served."""
    facts: Mapping[str, int] = {}
    """What else there was."""


def outcome(pair: Pair, stored: Embedded, asked: Embedded, languages: frozenset[str]) -> Outcome:
    """Look one pair up, as the stage would."""
    near = cosine(stored.vector, asked.vector)
    if normal(pair.a) == normal(pair.b):
        return Outcome(pair.y == 1, near, exact=True)
    if near < LOWEST:
        return Outcome(pair.y == 1, near)
    for text, vector in ((pair.b, asked), (pair.a, stored)):
        if reason := unfit(text, truncated=vector.truncated, languages=languages):
            return Outcome(pair.y == 1, near, reason)
    return Outcome(pair.y == 1, near, veto(facts(pair.b), facts(pair.a)))


def score(outcomes: Sequence[Outcome], threshold: float, *, gates: bool) -> Score:
    """Count what a threshold serves."""
    served = [each for each in outcomes if _served(each, threshold, gates=gates)]
    positives, wrong = sum(each.right for each in outcomes), sum(not each.right for each in served)
    return Score(
        threshold=threshold,
        gates=gates,
        lookups=len(outcomes),
        hits=len(served),
        exact=sum(each.exact for each in served),
        wrong=wrong,
        positives=positives,
        negatives=len(outcomes) - positives,
        negatives_hit=wrong,
    )


def vetoes(outcomes: Iterable[Outcome], threshold: float) -> Mapping[str, tuple[int, int]]:
    """Return for every gate how many right and how many wrong hits it kept from being served."""
    kept = [each for each in outcomes if each.gate and each.cosine >= threshold]
    right = Counter(each.gate for each in kept if each.right)
    wrong = Counter(each.gate for each in kept if not each.right)
    return {gate: (right[gate], wrong[gate]) for gate in sorted(right | wrong)}


def suggestion(measured: Measured, most_wrong: float) -> Score | None:
    """Return the lowest threshold from which on few enough look-ups are wrong; None for none.

    Nor is there one where more hits are unknown than known: nobody can tell what it would serve.
    """
    found = None
    for each in _from_the_top(measured):
        if each.wrong_per_lookup > most_wrong or 2 * each.unknown > each.hits - each.exact:
            break
        found = each
    return found


def _from_the_top(measured: Measured) -> Iterator[Score]:
    for step in range(STEPS, -1, -1):
        yield measured.score(round(LOWEST + (1 - LOWEST) * step / STEPS, 4), True)


def of_pairs(outcomes: Sequence[Outcome]) -> Measured:
    """Return what was looked up of pairs."""
    positives = sum(each.right for each in outcomes)
    return Measured(
        f"{len(outcomes):,} look-ups, of {positives:,} pairs with one meaning",
        lambda threshold, gates: score(outcomes, threshold, gates=gates),
        lambda threshold: vetoes(outcomes, threshold),
    )


def cosine(one: bytes, other: bytes) -> float:
    """Return the cosine of two vectors of norm 1, little-endian float32."""
    return float(sum(map(mul, array("f", one), array("f", other))))


def _served(each: Outcome, threshold: float, *, gates: bool) -> bool:
    return each.exact or (each.cosine >= threshold and not (gates and each.gate))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
