"""What may change places in a question."""

import pytest

from gateway.stages.semantic_cache.evidence import facts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("In Python, how do I sort a list?", "How do I sort a list in Python?"),
        ("Who sang at noon in Rome?", "Who sang in Rome at noon?"),
        ("compare between a cat and a dog", "compare between a dog and a cat"),
    ],
)
def test_a_phrase_with_a_preposition_says_the_same_anywhere(one: str, other: str) -> None:
    assert facts(one).phrases == facts(other).phrases


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is it hot in Rome and cold in Oslo?", "Is it hot in Oslo and cold in Rome?"),
        ("from Rome to Oslo", "from Oslo to Rome"),
        ("a gift for Bob with Al", "a gift for Al with Bob"),
        ("Did cats chase dogs?", "Did dogs chase cats?"),
    ],
)
def test_words_do_not_change_places(one: str, other: str) -> None:
    assert facts(one).phrases != facts(other).phrases
