"""How often a semantic look-up would hit, and how often wrongly, by pairs of known meaning."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    right_pairs: int
    """Pairs that want one answer; the others are negatives."""

    @property
    def precision(self) -> float:
        """Right hits among hits."""
        return _share(self.hits - self.wrong, self.hits)

    @property
    def recall(self) -> float:
        """Right hits among the pairs that want one answer."""
        return _share(self.hits - self.wrong, self.right_pairs)

    @property
    def wrong_per_lookup(self) -> float:
        """Wrong hits among all look-ups."""
        return _share(self.wrong, self.lookups)

    @property
    def negatives_served(self) -> float:
        """Wrong hits among the pairs that want two answers."""
        return _share(self.wrong, self.lookups - self.right_pairs)


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
    return Score(
        threshold=threshold,
        gates=gates,
        lookups=len(outcomes),
        hits=len(served),
        exact=sum(each.exact for each in served),
        wrong=sum(not each.right for each in served),
        right_pairs=sum(each.right for each in outcomes),
    )


def vetoes(outcomes: Iterable[Outcome], threshold: float) -> Mapping[str, tuple[int, int]]:
    """Return for every gate how many right and how many wrong hits it kept from being served."""
    kept = [each for each in outcomes if each.gate and each.cosine >= threshold]
    right = Counter(each.gate for each in kept if each.right)
    wrong = Counter(each.gate for each in kept if not each.right)
    return {gate: (right[gate], wrong[gate]) for gate in sorted(right | wrong)}


def suggestion(outcomes: Sequence[Outcome], most_wrong: float) -> Score | None:
    """Return the lowest threshold from which on few enough look-ups are wrong; None for none."""
    found = None
    for each in _from_the_top(outcomes):
        if each.wrong_per_lookup > most_wrong:
            break
        found = each
    return found


def _from_the_top(outcomes: Sequence[Outcome]) -> Iterator[Score]:
    for step in range(STEPS, -1, -1):
        threshold = round(LOWEST + (1 - LOWEST) * step / STEPS, 4)
        yield score(outcomes, threshold, gates=True)


def cosine(one: bytes, other: bytes) -> float:
    """Return the cosine of two vectors of norm 1, little-endian float32."""
    return float(sum(map(mul, array("f", one), array("f", other))))


def _served(each: Outcome, threshold: float, *, gates: bool) -> bool:
    return each.exact or (each.cosine >= threshold and not (gates and each.gate))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
