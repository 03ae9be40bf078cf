"""The cold start."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.complexity_router.features import asked_in, shape
from gateway.stages.complexity_router.rules import RULES, rules_parts, rules_score


def score(text: str) -> float:
    return rules_score(shape(asked_in(text)))


def test_code_maths_and_demands_weigh_more_than_small_talk_of_that_length() -> None:
    talk = score("Tell me something nice about a long walk on the beach with my dog")
    assert score("Write a python class with an async method that compiles each regex once") > talk
    assert score("Prove that the polynomial x^2 + 3x + 5 has no integer roots modulo 7") > talk
    assert score("You must compare both in a table, using exactly three bullet points") > talk


def test_more_of_the_same_kind_weighs_more_but_not_without_end() -> None:
    words = "python def class return sql api json algorithm loop regex "
    assert score(words * 3) > score(words)
    parts = {part.name: part.points for part in rules_parts(shape(asked_in(words * 30)))}
    assert parts["code"] == RULES["code"].most


def test_politeness_does_not_count_as_length() -> None:
    assert score("Hi! Please can you tell me: who wrote Hamlet? Thanks!") == score(
        "who wrote Hamlet?"
    )


@given(st.text(max_size=3000))
def test_the_score_is_the_sum_of_its_parts_between_0_and_15(text: str) -> None:
    found = shape(asked_in(text))
    assert rules_score(found) == sum(part.points for part in rules_parts(found))
    assert 0 <= rules_score(found) <= 15


def test_nothing_asked_is_worth_nothing() -> None:
    assert score("") == 0
