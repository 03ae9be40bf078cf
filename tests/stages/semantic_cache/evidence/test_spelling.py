"""Slips of the finger, and short forms."""

import pytest

from gateway.stages.semantic_cache.evidence.spelling import same_word, spelled_out


@pytest.mark.parametrize(
    ("one", "other"), [("recieve", "receive"), ("adress", "address"), ("buy", "purchase")]
)
def test_it_is_one_word(one: str, other: str) -> None:
    assert same_word(one, other)
    assert same_word(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("iran", "iraq"), ("austria", "australia"), ("chloride", "chlorate"), ("ab", "cd"), ("", "a")],
)
def test_they_are_two(one: str, other: str) -> None:
    assert not same_word(one, other)
    assert not same_word(other, one)


def test_a_short_form_is_made_of_first_letters() -> None:
    assert spelled_out("ai", ["what", "artificial", "intelligence"])
    assert not spelled_out("ai", ["intelligence", "artificial"])
    assert not spelled_out("a", ["artificial"])


def test_a_word_is_two_words_in_one() -> None:
    assert spelled_out("facebook", ["my", "face", "book"])
    assert not spelled_out("facebook", ["book", "face"])
