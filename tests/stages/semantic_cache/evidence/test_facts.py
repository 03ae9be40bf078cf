"""What is taken out of a question."""

import pytest

from gateway.stages.semantic_cache.evidence import facts


def test_figures_come_with_what_they_count() -> None:
    assert facts("two cats walk 5 km in 10 s for $3").figures == ("2", "5km", "10s", "3")


def test_units_and_moments_are_named_by_one_of_their_spellings() -> None:
    found = facts("Is 5 dollars or 3 € due on Mondays at 5 am in sept? I am late.")
    assert found.units == {"usd", "eur"}
    assert found.moments == {"monday", "am", "september"}
    assert facts("I am late").moments == frozenset()


def test_a_negation_is_kept_with_what_it_is_about() -> None:
    assert facts("Why do I never sleep without tea?").negated == ("sleep", "tea")
    assert facts("Is it good or not?").negated == ()
    assert facts("Why not?").negated == ()


def test_names_are_words_with_a_capital_within_a_sentence_and_uncommon_ones() -> None:
    assert facts("Did Mark meet kenji?").names == {"mark", "kenji"}


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ('say "hello you"', {"hello you"}),
        ("say 'hello you'", {"hello you"}),
        ("run `ls -l`", {"ls -l"}),
        ("call get_user() or getUser", {"get_user", "getUser"}),
        ("read /etc/hosts.allow", {"/etc/hosts.allow"}),
        ("use --force", {"--force"}),
        ("it's Bob's and Al's", set()),
    ],
)
def test_what_is_meant_to_the_letter_is_kept(text: str, literals: set[str]) -> None:
    assert facts(text).literals == literals


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How many are there?", "how many"),
        ("What is the best way to go?", "how"),
        ("What are the reasons?", "why"),
        ("Could you please tell me why?", "why"),
        ("Can I go?", "whether may"),
        ("Is it possible to go?", "whether may"),
        ("Types of art?", "what"),
        ("Write a poem", ""),
    ],
)
def test_a_question_is_of_a_kind(text: str, kind: str) -> None:
    assert facts(text).kind == kind


def test_it_is_past_present_or_for_who_and_when_to_come() -> None:
    assert facts("Who was it?").tense == "past"
    assert facts("Who will it be?").tense == "future"
    assert facts("How will it work?").tense == ""


def test_a_name_of_several_words_is_one_in_any_spelling() -> None:
    assert facts("the United States of America").content == ("usa",)
    assert facts("US taxes").content == ("usa", "tax")
    assert facts("tell us").content == ()


def test_what_is_free_of_something_is_without_it() -> None:
    assert facts("gluten-free bread").negated == ("gluten",)
