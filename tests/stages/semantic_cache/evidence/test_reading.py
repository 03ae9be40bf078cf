"""A text in words."""

import pytest

from gateway.stages.semantic_cache.evidence.reading import read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Why can't I?", ["why", "can", "not", "i"]),
        ("why dont they", ["why", "do", "not", "they"]),
        ("What's Bob's, who's he?", ["what", "is", "bob", "who", "is", "he"]),
        ("It 's n't", ["it", "s", "not"]),
        ("1,000 and 1.5 and 007", ["1000", "and", "1.5", "and", "7"]),
        ("C++ or C#", ["c++", "or", "c#"]),
        ("the U.S. economy", ["the", "u.s", "economy"]),
        ("-5 or 5-10", ["-", "5", "or", "5", "10"]),
        ("2+2 = 4", ["2", "+", "2", "=", "4"]),
        ("$5 (50%)", ["$", "5", "50", "%"]),
        ("the 2nd and ½", ["the", "2nd", "and", "½"]),
        ("a 5km run", ["a", "5", "km", "run"]),
        ("...", []),
    ],
)
def test_words_are_read_in_lower_case_and_contractions_in_full(text: str, words: list[str]) -> None:
    assert [word.lower for word in read(text)] == words


def test_a_word_that_opens_a_sentence_is_known_as_such() -> None:
    assert [word.typed for word in read("Is it so? Maybe. Bob knows") if word.opens] == [
        "Is",
        "Maybe",
        "Bob",
    ]


def test_words_of_one_meaning_share_a_form() -> None:
    for one, other in (("purchasing", "bought"), ("two", "2"), ("kilometres", "km")):
        assert [word.form for word in read(one)] == [word.form for word in read(other)]
