"""What is asked in a request: which turns, without what is wrapped around them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chat import ChatRequest, parse_request
from gateway.stages.complexity_router.features.asking import (
    MOST_CHARS,
    asked_by,
    asked_in,
    plain,
)

PROOF = "Prove that every bounded monotone sequence of real numbers converges to a limit."


def chat(*messages: tuple[str, Any], **more: Any) -> ChatRequest:
    told = [{"role": role, "content": content} for role, content in messages]
    return parse_request("chat", json.dumps({"model": "m", "messages": told, **more}).encode())


def test_the_last_turn_of_the_user_is_what_is_asked() -> None:
    asked = asked_by(chat(("user", "Who wrote Hamlet?"), ("assistant", "He."), ("user", PROOF)))
    assert asked.text == PROOF
    assert asked.turns == 2


@pytest.mark.parametrize("assent", ["yes", "Yes, please!", "ok, go ahead.", "Thanks, continue"])
def test_a_bare_assent_asks_what_it_approves(assent: str) -> None:
    offer = "Shall I rewrite the whole scheduler as a lock-free queue with hazard pointers?"
    asked = asked_by(chat(("user", "It is slow."), ("assistant", offer), ("user", assent)))
    assert offer in asked.text
    assert "It is slow." in asked.text
    assert assent not in asked.text


def test_an_assent_with_nothing_before_it_asks_nothing() -> None:
    assert asked_by(chat(("user", "yes"))).text == ""


def test_a_turn_of_a_few_words_goes_on_from_the_one_before_it() -> None:
    asked = asked_by(chat(("user", PROOF), ("assistant", "Here."), ("user", "And for Cauchy?")))
    assert asked.text == f"{PROOF}\nAnd for Cauchy?"


def test_no_more_than_three_turns_of_the_user_count() -> None:
    turns = [("user", f"And {word}?") for word in ("alpha", "beta", "gamma", "delta")]
    assert asked_by(chat(*turns)).text == "And beta?\nAnd gamma?\nAnd delta?"


def test_results_of_tools_are_no_turn() -> None:
    result = [{"type": "tool_result", "tool_use_id": "1", "content": "def f(): pass"}]
    asked = asked_by(
        chat(("user", PROOF), ("assistant", None), ("tool", "class A"), ("user", result))
    )
    assert asked.text == PROOF


def test_parts_of_text_are_joined_and_pictures_passed_over() -> None:
    parts = [{"type": "text", "text": PROOF}, {"type": "image_url", "image_url": {"url": "x"}}, 3]
    assert asked_by(chat(("user", parts))).text == PROOF


def test_what_agents_wrap_around_a_question_is_taken_away() -> None:
    wrapped = (
        f"<system-reminder>\nUse python, sql and bash.\n</system-reminder>\n{PROOF}"
        "<environment_details>open: main.rs</environment_details>"
    )
    assert asked_by(chat(("user", wrapped))).text == PROOF


def test_an_element_that_nobody_closes_is_text() -> None:
    text = "What does <system-reminder> mean in </b> html?"
    assert asked_in(text).text == text


@pytest.mark.parametrize(
    "wrapped",
    [
        "Hi! Could you please help me with the following?\n\n{}",
        "{}\n\nThanks in advance, I appreciate your help!",
        "You are a helpful assistant. Answer the question below.\n---\n{}\n---",
        "User query:\n```\n{}\n```",
    ],
)
def test_sentences_that_say_nothing_of_the_task_are_taken_away(wrapped: str) -> None:
    assert plain(wrapped.format(PROOF)) == PROOF


@pytest.mark.parametrize("text", ["Hi!", "Thanks.", "12.", "Which one?", ""])
def test_a_text_that_says_nothing_else_is_kept_whole(text: str) -> None:
    assert plain(text) == text


def test_the_head_and_the_tail_of_a_long_text_are_looked_at() -> None:
    asked = asked_in("begin " + "x" * 1_000_000 + " end")
    assert len(asked.text) == MOST_CHARS + 1
    assert asked.text.startswith("begin")
    assert asked.text.endswith("end")
    assert asked.chars == 1_000_010


def test_tools_and_the_system_prompt_are_counted_in_both_dialects() -> None:
    openai = asked_by(chat(("system", "12345"), ("user", PROOF), tools=[{}, {}]))
    assert (openai.tools, openai.system_chars) == (2, 5)
    body = {
        "model": "m",
        "system": [{"type": "text", "text": "123"}],
        "messages": [{"role": "user", "content": PROOF}],
    }
    anthropic = asked_by(parse_request("messages", json.dumps(body).encode()))
    assert (anthropic.tools, anthropic.system_chars, anthropic.text) == (0, 3, PROOF)


def test_a_completion_asks_its_prompt() -> None:
    body = json.dumps({"model": "m", "prompt": [PROOF, "And why?"]}).encode()
    assert asked_by(parse_request("completions", body)).text == f"{PROOF}\nAnd why?"


@given(st.text(max_size=3000))
def test_any_text_is_cut_to_a_part_of_itself(text: str) -> None:
    asked = asked_in(text)
    assert len(asked.text) <= MOST_CHARS + 1
    assert asked.chars <= len(text)
    assert all(half in text for half in asked.text.split("\n"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    st.lists,
    max_leaves=5,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant", "tool", "x"]), json_values), min_size=1
    )
)
def test_no_conversation_is_too_odd(messages: list[tuple[str, Any]]) -> None:
    asked = asked_by(chat(*messages))
    assert asked.turns == sum(role == "user" for role, _ in messages)
