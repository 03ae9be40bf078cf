from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import parse_request
from gateway.core.wire import encode
from gateway.stages.semantic_cache.question import Question, normal, question_of


def question(messages: list[Any], **more: Any) -> Question:
    return question_of(parse_request("chat", encode({"model": "m", "messages": messages, **more})))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is it?", "what is it"),
        ("What  is\nit", "What is it."),
        ("WHAT IS IT", "what is it"),
        ("cafe\u0301 near me", "caf\u00e9 near me"),
        ("Tell me (please) about it...", "tell me (please) about it"),
        ("What's that?", "what's that"),
        ("The dogs' and Isn't the cats' home?", "the dogs' and isn't the cats' home"),
        ("Erkläre das!", "erkläre das"),
    ],
)
def test_two_ways_of_writing_one_question_are_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reach US customers?", "How do I reach us customers?"),
        ("What is 5!", "What is 5"),
        ("What does fooBar do?", "What does foobar do?"),
        ("Is `Foo` a class?", "Is `foo` a class?"),
        ('What does "Polish" mean?', 'What does "polish" mean?'),
        ("What does 'Polish' mean?", "What does 'polish' mean?"),
        ("What does “Polish” mean?", "What does “polish” mean?"),
        ("What does ‘Polish’ mean?", "What does ‘polish’ mean?"),  # noqa: RUF001 - as people type
        ("Was heißt „Polish“?", "Was heißt „polish“?"),
        ("Que veut dire «Polish»?", "Que veut dire «polish»?"),
        ("Run print(Foo)", "Run print(foo)"),
        ("Set $Path", "Set $path"),
        ("Why?\n  if x:\n    y", "Why?\n if x:\n  y"),
        ("```\nA  b\n```", "```\nA b\n```"),
        ("What is 1.5?", "What is 15?"),
        ("Is it a-b?", "Is it ab?"),
        ("???", "!!!"),
    ],
)
def test_code_names_signs_and_quotations_stay_apart(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_the_last_user_message_is_taken_out_of_the_rest() -> None:
    found = question([{"role": "system", "content": "s"}, {"role": "user", "content": "q"}])
    assert found.text == "q"
    assert found.single
    assert found.rest["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": ""},
    ]


def test_a_text_part_beside_a_picture_is_the_question() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    found = question([{"role": "user", "content": [picture, {"type": "text", "text": "q"}]}])
    assert found.text == "q"
    assert found.rest["messages"][0]["content"] == [picture, {"type": "text", "text": ""}]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "so"}],
        [{"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": [{"type": "image_url"}, 3, "x"]}],
    ],
)
def test_where_there_is_no_one_text_all_of_it_is_the_rest(messages: list[Any]) -> None:
    found = question(messages, stream=True)
    assert found.text is None
    assert found.rest == {"model": "m", "messages": messages}


def test_what_was_said_before_makes_it_no_single_turn() -> None:
    before = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert not question([*before, {"role": "user", "content": "c"}]).single


def test_a_prompt_to_be_completed_is_never_evened_out() -> None:
    request = parse_request("completions", encode({"model": "m", "prompt": "Once upon a time,"}))
    assert question_of(request).text is None


@given(st.text())
def test_any_text_has_a_normal_form_and_space_around_it_never_counts(text: str) -> None:
    if "\n" not in text:
        assert normal(f"  {text} ") == normal(text) or not text.strip()


@pytest.mark.parametrize("text", ["`" * 2000, '"' * 1999, "a " * 1000, "\n " * 1000, "A" * 10**6])
def test_no_text_takes_more_than_a_moment(text: str) -> None:
    assert normal(text) == normal(text)
