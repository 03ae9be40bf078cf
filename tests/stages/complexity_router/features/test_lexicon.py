"""The lists of words."""

from gateway.stages.complexity_router.features.lexicon import ASSENT, EMPTY, LISTS, PLACES


def test_every_word_is_lower_case_and_found_in_the_lists_that_name_it() -> None:
    for place, (name, words) in enumerate(LISTS.items()):
        for word in words.split():
            assert word == word.lower(), name
            assert place in PLACES[word], (name, word)


def test_a_word_of_two_lists_counts_in_both() -> None:
    names = list(LISTS)
    assert {names[place] for place in PLACES["prove"]} == {"maths words"}
    assert {names[place] for place in PLACES["bash"]} == {"code words", "languages"}


def test_no_list_has_a_word_twice() -> None:
    for name, words in LISTS.items():
        assert len(words.split()) == len(set(words.split())), name


def test_what_approves_and_what_is_empty_are_words_of_their_own() -> None:
    assert {"yes", "go", "ahead"} <= ASSENT
    assert {"please", "the", "hello"} <= EMPTY
    assert not EMPTY & {"prove", "python", "why"}
