"""The gates read English. Elsewhere they keep apart whatever differs in a word."""

import pytest

from gateway.stages.semantic_cache.evidence import facts, unfit, veto

EVERY: frozenset[str] = frozenset()
"""Of an embedder that does not say what it reads."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Kann ich mit Karte zahlen?", "Kann ich ohne Karte zahlen?"),
        ("Wann fährt der Zug nach Bern?", "Wann fährt der Zug von Bern?"),
        ("Darf ich hier rauchen?", "Darf ich hier nicht rauchen?"),
        ("¿Puedo pagar con tarjeta?", "¿Puedo pagar sin tarjeta?"),
        ("Est-ce que je peux annuler ?", "Est-ce que je ne peux pas annuler ?"),
        ("Можно ли платить картой?", "Нельзя ли платить картой?"),
        ("今日は暑いですか", "今日は寒いですか"),
        ("我可以退款吗", "我不可以退款吗"),
    ],
)
def test_in_another_language_one_word_more_or_less_keeps_questions_apart(
    one: str, other: str
) -> None:
    assert unfit(one, truncated=False, languages=EVERY) == ""
    assert veto(facts(one), facts(other))
    assert veto(facts(other), facts(one))


def test_in_another_language_even_the_same_wish_in_other_words_is_another_question() -> None:
    assert veto(facts("Wie kündige ich den Vertrag?"), facts("Wie kann ich den Vertrag kündigen?"))
    assert not veto(facts("Wie kündige ich den Vertrag?"), facts("Wie  kündige ich den Vertrag ?"))
