"""The router that others publish, as something to be compared with."""

from gateway.stages.complexity_router.keyword_rules import keyword_score


def test_keywords_of_code_and_reasoning_score_and_small_talk_does_not() -> None:
    assert keyword_score("Hello") < 0
    assert keyword_score("Write a python function that calls this api, step by step") > 0.3


def test_what_has_none_of_its_words_scores_nothing() -> None:
    """Which is what its users complain of: a hard question in plain words is simple to it."""
    assert keyword_score("A man has 12 apples and gives a third of them to each of his sons") == 0


def test_long_prompts_score_a_tenth() -> None:
    assert keyword_score("word " * 400) == 0.1
