"""Tokens, guessed from bytes."""

import json
from typing import Any

import pytest

from gateway.core.chat import Endpoint, parse_request
from gateway.core.estimate import input_tokens

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}


def tokens(endpoint: Endpoint, **fields: Any) -> int:
    return input_tokens(parse_request(endpoint, json.dumps({"model": "m", **fields}).encode()))


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("x" * 400, 104),
        ("é" * 200, 104),
        ([{"type": "text", "text": "x" * 400}], 104),
        ([{"type": "text", "text": "x" * 400}, PICTURE], 104),
        ([], 4),
        (None, 4),
    ],
)
def test_four_bytes_of_text_are_a_token_and_a_message_is_four_more(
    content: object, count: int
) -> None:
    assert tokens("chat", messages=[{"role": "user", "content": content}]) == count


def test_system_tools_prompts_and_inputs_count_too() -> None:
    messages = [{"role": "user", "content": ""}]
    assert tokens("messages", messages=messages, system="x" * 40) == 14
    assert tokens("chat", messages=messages, tools=[{"function": {"name": "x" * 40}}]) == 14
    assert tokens("completions", prompt="x" * 40) == 10
    assert tokens("embeddings", input=["x" * 20, "y" * 20]) == 10
