"""Tokens, guessed from bytes."""

import json
from typing import Any

import pytest

from gateway.core.catalogue import Model
from gateway.core.chat import Endpoint, parse_request
from gateway.core.estimate import (
    MOST_KINDS,
    MOST_PICTURES,
    UNLEARNED,
    OutputHistory,
    expected_output,
    input_tokens,
    output_limit,
)
from gateway.core.pictures import ANTHROPIC_MOST
from tests.fakes.pictures import data_url, png

PICTURE = {"type": "image_url", "image_url": {"url": data_url(png(512, 512) + bytes(9_000))}}


def tokens(endpoint: Endpoint, **fields: Any) -> int:
    return input_tokens(parse_request(endpoint, json.dumps({"model": "m", **fields}).encode()))


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("x" * 400, 104),
        ("é" * 200, 104),
        ([{"type": "text", "text": "x" * 400}], 104),
        ([{"type": "text", "text": "x" * 400}, PICTURE], 104 + 85 + 170),
        ([], 4),
        (None, 4),
    ],
)
def test_four_bytes_of_text_are_a_token_and_a_message_is_four_more(
    content: object, count: int
) -> None:
    assert tokens("chat", messages=[{"role": "user", "content": content}]) == count


def test_pictures_count_wherever_they_stand_and_as_the_most_beyond_a_hundred() -> None:
    result = [{"type": "tool_result", "content": [PICTURE]}]
    assert tokens("messages", messages=[{"role": "user", "content": result}]) == 4 + 255
    many = [PICTURE] * (MOST_PICTURES + 2)
    counted = 4 + 255 * MOST_PICTURES + 2 * ANTHROPIC_MOST
    assert tokens("chat", messages=[{"role": "user", "content": many}]) == counted


@pytest.mark.parametrize(
    ("stray", "count"), [([1, "xxxx", None], 15), (5, 2), ("x" * 8, 3), (None, 1)]
)
def test_messages_that_nobody_asked_for_may_be_anything(stray: object, count: int) -> None:
    assert tokens("completions", prompt="xxxx", messages=stray) == count


def test_system_tools_prompts_and_inputs_count_too() -> None:
    messages = [{"role": "user", "content": ""}]
    assert tokens("messages", messages=messages, system="x" * 40) == 14
    assert tokens("chat", messages=messages, tools=[{"function": {"name": "x" * 40}}]) == 14
    assert tokens("completions", prompt="x" * 40) == 10
    assert tokens("embeddings", input=["x" * 20, "y" * 20]) == 10


def test_numbers_are_tokens_and_what_has_very_many_parts_is_counted_by_its_bytes() -> None:
    assert tokens("embeddings", input=[1, 2, 3]) == 3
    body = {"model": "m", "input": ["x"] * 30_000}
    request = parse_request("embeddings", json.dumps(body).encode())
    assert input_tokens(request) == -(-len(request.body) // 4)


def test_a_long_text_is_measured_by_its_beginning() -> None:
    assert tokens("completions", prompt="é" * 200_000) == 100_000


def limit(model: Model, **fields: Any) -> int | None:
    return output_limit(parse_request("chat", json.dumps({**CHAT, **fields}).encode()), model)


CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
PLAIN, SHORT = Model(provider="p"), Model(provider="p", max_output=50)


@pytest.mark.parametrize(
    ("fields", "most", "of_short"),
    [
        ({}, None, None),
        ({"max_tokens": 70}, 70, 50),
        ({"max_completion_tokens": 70, "max_tokens": 20}, 70, 50),
        ({"max_tokens": 20, "n": 3}, 60, 60),
        ({"max_tokens": 20, "best_of": 3, "n": 2}, 60, 60),
        ({"max_tokens": 20, "n": 10**9}, 20 * 128, 20 * 128),
        ({"max_tokens": -1}, None, None),
        ({"max_tokens": "9"}, 9, 9),
        ({"max_tokens": 9.0, "n": "3"}, 27, 27),
        ({"max_completion_tokens": "70", "n": 2.0}, 140, 100),
        ({"max_tokens": True, "n": [3]}, None, None),
        ({"max_tokens": "nan", "max_completion_tokens": "all"}, None, None),
        ({"max_tokens": 2**63}, 10**9, 50),
        ({"max_tokens": "0" * 1_000 + "9"}, 9, 9),
        ({"max_tokens": "9" * 5_000}, None, None),
        ({"max_tokens": 20, "n": 0}, 20, 20),
    ],
)
def test_the_stated_limit_of_output_counts_for_each_answer(
    fields: dict[str, Any], most: int | None, of_short: int | None
) -> None:
    assert limit(PLAIN, **fields) == most
    assert limit(SHORT, **fields) == of_short


def test_an_answer_without_a_stated_limit_is_expected_as_learned_and_as_the_model_can() -> None:
    request = parse_request("chat", json.dumps({**CHAT, "n": 2}).encode())
    assert expected_output(1024, request, PLAIN) == 1024
    assert expected_output(1024, request, SHORT) == 100


def test_embeddings_have_no_output() -> None:
    assert output_limit(parse_request("embeddings", b'{"model":"m","input":"x"}'), PLAIN) == 0


def test_nine_of_ten_answers_stay_within_what_is_learned() -> None:
    history, kind = OutputHistory(), ("alice", "default", "chat", "m")
    answers = history.of(kind)
    assert answers.high == UNLEARNED
    for tokens_out in range(1, 8):
        answers.observe(tokens_out)
    assert answers.high == UNLEARNED
    answers.observe(8)
    assert answers.high == 8
    for tokens_out in range(1, 65):
        answers.observe(tokens_out)
    assert history.of(kind).high == 58
    assert history.of(("bob", *kind[1:])).high == UNLEARNED


def test_what_was_seen_long_ago_is_forgotten() -> None:
    history = OutputHistory()
    for number in range(2 * MOST_KINDS):
        for name in (str(number), "0"):
            for _ in range(8):
                history.of((name,)).observe(5)
    assert len(history) == MOST_KINDS
    assert history.of(("0",)).high == 5
    assert history.of(("1",)).high == UNLEARNED
