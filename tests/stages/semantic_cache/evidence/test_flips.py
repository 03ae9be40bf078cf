"""B06: the gates alone keep flips apart, as if every cosine were 1."""

from collections import Counter

from gateway.stages.semantic_cache.evidence import facts, veto
from tests.stages.semantic_cache.evidence.flips import flips
from tests.stages.semantic_cache.evidence.paraphrases import BY_HAND, paraphrases

NEVER = {"number", "year", "negation", "unit", "date", "antonym", "order", "quoted"}


def let_through(asked: str, stored: str) -> bool:
    return not veto(facts(asked), facts(stored))


def test_of_a_thousand_flips_none_of_a_number_or_a_negation_is_served() -> None:
    pairs = set(flips(rounds=20))
    served = Counter(flip.kind for flip in pairs if let_through(flip.asked, flip.stored))
    share = served.total() / len(pairs)
    print(f"\nB06: {len(pairs)} flips, {served.total()} served ({share:.2%}): {dict(served)}")  # noqa: T201 - the figure itself
    assert len(pairs) >= 1000
    assert NEVER.isdisjoint(served)
    assert share <= 0.005


def test_every_kind_of_flip_is_in_the_suite() -> None:
    kinds = Counter(flip.kind for flip in set(flips(rounds=20)))
    assert set(kinds) == NEVER | {"name"}
    assert min(kinds.values()) >= 50


def test_most_paraphrases_are_let_through() -> None:
    pairs = set(paraphrases())
    served = sum(let_through(*pair) for pair in pairs)
    by_hand = sum(let_through(*pair) for pair in BY_HAND)
    print(f"\nparaphrases: {served} of {len(pairs)} let through, by hand {by_hand}/{len(BY_HAND)}")  # noqa: T201 - the figure itself
    assert len(pairs) >= 300
    assert served / len(pairs) >= 0.8
    assert by_hand / len(BY_HAND) >= 0.6
