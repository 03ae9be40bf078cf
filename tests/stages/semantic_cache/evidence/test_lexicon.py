"""Stems, and that the lists are what the gates take them for."""

import pytest

from gateway.stages.semantic_cache.evidence.lexicon import (
    ALIASES,
    CONTRASTS,
    MOMENTS,
    NUMBERS,
    UNITS,
    lines,
    stem,
)


@pytest.mark.parametrize(
    "forms",
    [
        ("study", "studies", "studying", "studied"),
        ("run", "runs", "running"),
        ("make", "makes", "making"),
        ("quick", "quickly"),
        ("class", "classes"),
        ("box", "boxes"),
        ("organise", "organizing", "organized"),
        ("colour", "colors"),
    ],
)
def test_the_forms_of_a_word_share_a_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("bus", "bush"), ("new", "news"), ("as", "ass"), ("sing", "s")]
)
def test_other_words_do_not(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@pytest.mark.parametrize("name", ["same", "units", "moments", "numbers", "alias"])
def test_a_spelling_stands_in_one_line_of_a_list(name: str) -> None:
    spelled = [word for line in lines(name) for word in set(line)]
    assert len(spelled) == len(set(spelled))


def test_every_set_of_contrasts_has_two_sides() -> None:
    assert [line for line in lines("contrasts") if len(line) < 2] == []


def test_words_lead_to_what_stands_for_them() -> None:
    assert (UNITS["miles"], MOMENTS["sept"], NUMBERS["twelve"]) == ("mile", "september", "12")
    assert ALIASES["united-states"] == "usa"
    assert CONTRASTS["buy"].keys() & CONTRASTS["sell"].keys()
