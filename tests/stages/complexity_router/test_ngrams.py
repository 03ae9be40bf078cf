"""Hashed wording."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.features import asked_in, shape
from gateway.stages.complexity_router.ngrams import PLACES, places_of


def test_words_and_their_neighbours_each_have_a_place() -> None:
    assert len(places_of(["prove", "it", "now"])) == 5
    assert places_of(["prove", "it"]) != places_of(["it", "prove"])


def test_the_places_are_those_of_the_format_for_good() -> None:
    """Artefacts name them: another hash would make every one of them wrong."""
    assert places_of(["prove", "it"]) == [769, 5940, 6271]


def test_every_figure_is_the_same_and_a_word_counts_once() -> None:
    assert places_of(["add", "17"]) == places_of(["add", "4,000"])
    assert places_of(["no", "no", "no"]) == places_of(["no", "no"])


def test_nothing_has_no_place() -> None:
    assert places_of([]) == []


@given(st.text(st.characters()))
def test_any_text_has_rising_places(text: str) -> None:
    found = places_of(shape(asked_in(text)).tokens)
    assert found == sorted(set(found))
    assert all(0 <= place < PLACES for place in found)
