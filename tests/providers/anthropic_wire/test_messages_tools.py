"""What Anthropic's tools and tool choice become as OpenAI functions."""

from typing import Any

import pytest

from gateway.core.errors import CapabilityMissing
from tests.fakes.messages_call import TOOL, USER, chat, refusal, translate


def test_tools_become_functions() -> None:
    strict = {"name": "s", "type": "custom", "strict": True, "input_schema": {"type": "object"}}
    sent = chat(tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}, strict])
    assert sent["tools"] == [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
        },
        {
            "type": "function",
            "function": {"name": "s", "parameters": {"type": "object"}, "strict": True},
        },
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "look"},
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        ),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choice_is_kept(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    sent = chat(tools=[TOOL], tool_choice=choice)
    assert {name: sent[name] for name in expected} == expected


def test_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in chat(tool_choice={"type": "auto"})


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "computer_20250124", "name": "computer"},
    ],
)
def test_anthropics_own_tools_are_a_missing_capability(tool: dict[str, Any]) -> None:
    error = refusal(tools=[TOOL, tool], drop=True)
    assert isinstance(error, CapabilityMissing)
    assert error.param == "tools[1].type"


def test_tools_that_need_anthropics_machinery_are_a_missing_capability() -> None:
    assert refusal(tools=[{**TOOL, "defer_loading": True}]).param == "tools[0].defer_loading"
    called = {**TOOL, "allowed_callers": ["code_execution_20260120"]}
    assert refusal(tools=[called]).param == "tools[0].allowed_callers"


def test_examples_of_tool_input_are_dropped_and_listed() -> None:
    translated = translate(tools=[{**TOOL, "input_examples": [{"a": 1}]}])
    assert translated.dropped == ("tools.input_examples",)


def test_results_of_anthropics_own_tools_are_a_missing_capability() -> None:
    turn = {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "w"}]}
    assert refusal(messages=[*USER, turn, *USER]).param == "messages[1].content[0].type"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {"a": 1}}, "tools"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": []}}, "tool_choice.type"),
    ],
)
def test_malformed_input_is_refused_by_place(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)
    assert error.status == 400
    assert error.param == param
