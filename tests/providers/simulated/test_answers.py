"""What a simulated provider says, and what that hangs on."""

from typing import Any

import pytest

from gateway.core import wire
from gateway.core.catalogue import Model
from gateway.core.chat import Endpoint
from tests.fakes.simulated import ANTHROPIC_TOOLS, OPENAI_TOOLS, TOOL, ask, make, text_of, whole


async def test_an_answer_depends_on_prompt_and_model_and_on_nothing_else() -> None:
    first = text_of(await whole(ask()))
    busy = make(seed=9)
    await whole(ask("something else"), busy)
    assert text_of(await whole(ask(temperature=0.3), busy)) == first
    assert text_of(await whole(ask("Why is the sky blue"))) != first
    other = Model(provider="sim", name="x", upstream="demo-2")
    assert text_of(await whole(ask(model=other))) != first


async def test_an_answer_is_never_an_echo() -> None:
    text = text_of(await whole(ask("Say exactly: hunter2")))
    assert "hunter2" not in text
    assert len(text.split()) > 10


async def test_the_last_user_message_and_what_follows_it_count() -> None:
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    last = {"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}
    with_history = await whole(ask(messages=[*history, last]))
    assert text_of(with_history) == text_of(await whole(ask()))
    called = {"role": "tool", "tool_call_id": "1", "content": "42"}
    assert text_of(await whole(ask(messages=[*history, last, called]))) != text_of(with_history)


@pytest.mark.parametrize(
    ("endpoint", "limit"),
    [("chat", "max_tokens"), ("chat", "max_completion_tokens"), ("messages", "max_tokens")],
)
async def test_the_limit_cuts_the_answer_and_says_so(endpoint: Endpoint, limit: str) -> None:
    cut: dict[str, Any] = {limit: 3}
    answer = await whole(ask(endpoint=endpoint, **cut))
    if endpoint == "chat":
        assert answer["choices"][0]["finish_reason"] == "length"
        assert answer["usage"]["completion_tokens"] == 3
    else:
        assert answer["stop_reason"] == "max_tokens"
        assert answer["usage"]["output_tokens"] == 3


async def test_a_tool_call_cut_short_is_no_broken_object() -> None:
    anything = {"type": "any"}
    call = ask(endpoint="messages", tools=ANTHROPIC_TOOLS, tool_choice=anything, max_tokens=2)
    message = await whole(call)
    assert message["stop_reason"] == "max_tokens"
    assert message["content"][0]["input"] == {}


@pytest.mark.parametrize("choice", ["auto", "none", None, {"type": "auto"}])
async def test_tools_that_are_not_demanded_are_not_called(choice: Any) -> None:
    answer = await whole(ask(tools=OPENAI_TOOLS, tool_choice=choice))
    assert answer["choices"][0]["finish_reason"] == "stop"
    bare = (await whole(ask()))["usage"]["prompt_tokens"]
    assert answer["usage"]["prompt_tokens"] > bare, "tools count as input"


async def test_a_json_schema_is_honoured_in_both_dialects() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL}}
    first = wire.decode(text_of(await whole(ask(response_format=form))))
    assert isinstance(first["city"], str)
    assert isinstance(first["days"], int)
    config = {"format": {"type": "json_schema", "schema": TOOL}}
    message = await whole(ask(endpoint="messages", output_config=config))
    assert wire.decode(message["content"][0]["text"]) == first
    other = wire.decode(text_of(await whole(ask("another one", response_format=form))))
    assert other != first


async def test_json_object_gives_an_object_and_text_gives_text() -> None:
    answer = text_of(await whole(ask(response_format={"type": "json_object"})))
    assert isinstance(wire.decode(answer), dict)
    plain = text_of(await whole(ask(response_format={"type": "text"})))
    assert plain == text_of(await whole(ask()))


ODD: list[dict[str, Any]] = [
    {"tools": "x", "tool_choice": "required"},
    {"tools": [1, None], "tool_choice": {"type": 7}},
    {"tools": [{"function": "x"}], "tool_choice": {"function": "x"}},
    {"response_format": "json"},
    {"response_format": {"type": "json_schema", "json_schema": "x"}},
    {"output_config": "x"},
    {"messages": [{"role": "assistant"}, {"role": "tool", "content": 7}]},
    {"messages": [{"role": "user", "content": ["x", 1, {"text": None}]}]},
]


@pytest.mark.parametrize("fields", ODD)
@pytest.mark.parametrize("endpoint", ["chat", "messages"])
async def test_odd_shapes_never_break_it(endpoint: Endpoint, fields: dict[str, Any]) -> None:
    assert await whole(ask(endpoint=endpoint, **fields))
