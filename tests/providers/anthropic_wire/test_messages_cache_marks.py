"""`cache_control` on its way to an OpenAI-style upstream: kept where it is taken, else listed."""

from typing import Any

import pytest

from tests.fakes.messages_call import TOOL, USER, chat, model, translate

MARK: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
EVERYWHERE: dict[str, Any] = {
    "system": [{"type": "text", "text": "s"}, {"type": "text", "text": "t", **MARK}],
    "tools": [{**TOOL, **MARK}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", **MARK},
                {"type": "image", "source": PNG, **MARK},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "b", **MARK}, {**USE, **MARK}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "r", **MARK},
                {"type": "text", "text": "c", **MARK},
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "d", **MARK}]},
    ],
}


def without_marks(value: Any) -> Any:
    if isinstance(value, list):
        return [without_marks(item) for item in value]
    if isinstance(value, dict):
        return {k: without_marks(v) for k, v in value.items() if k != "cache_control"}
    return value


def test_marks_reach_an_upstream_that_takes_them_wherever_they_stand() -> None:
    """Bifrost #3942 and #1935: stripped for OpenRouter, lost on what is not text."""
    sent = chat(model(cache_marks=True), **EVERYWHERE)
    system, asked, said, result, more, late = sent["messages"]
    assert system["content"] == [
        {"type": "text", "text": "s"},
        {"type": "text", "text": "t"} | MARK,
    ]
    assert [part["cache_control"] for part in asked["content"]] == [*MARK.values()] * 2
    assert said["content"] == [{"type": "text", "text": "b", **MARK}]
    assert said["tool_calls"][0]["cache_control"] == {"type": "ephemeral"}
    assert result["content"] == [{"type": "text", "text": "r", **MARK}]
    assert more["content"] == [{"type": "text", "text": "c", **MARK}]
    assert late["content"] == [{"type": "text", "text": "d", **MARK}]
    assert sent["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert translate(model(cache_marks=True), **EVERYWHERE).dropped == ()
    assert chat(model(cache_marks=True), **MARK)["cache_control"] == {"type": "ephemeral"}


def test_marks_inside_a_tools_result_are_kept_too() -> None:
    content = [{"type": "text", "text": "r", **MARK}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": content}
    messages = [
        *USER,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [result]},
    ]
    sent = chat(model(cache_marks=True), messages=messages)
    assert sent["messages"][-1]["content"] == content


@pytest.mark.parametrize("field", ["system", "tools", "messages"])
def test_marks_that_no_upstream_would_take_are_listed(field: str) -> None:
    given = {field: EVERYWHERE[field]}
    translated = translate(**given)
    assert translated.dropped == ("cache_control",)
    assert translated.request.fields == translate(**without_marks(given)).request.fields


def test_a_mark_on_the_whole_request_is_listed() -> None:
    assert translate(**MARK).dropped == ("cache_control",)


def test_earlier_thinking_that_is_left_out_is_listed() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    said = [thought, {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "y"}]
    messages = [*USER, {"role": "assistant", "content": said}, *USER]
    assert translate(messages=messages).dropped == ("messages.thinking",)
