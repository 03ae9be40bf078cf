"""What tools, tool choice and response format become."""

from typing import Any

import pytest

from gateway.core.errors import BadRequest, CapabilityMissing
from gateway.providers.anthropic_wire.chat_tools import JSON_INSTRUCTION
from gateway.providers.anthropic_wire.vocabulary import AnswerForm
from tests.fakes.chat_call import claude, function, refusal, sent, translate

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "x-odd": [1]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}
NEW = claude(capabilities=frozenset({"json_schema"}))
TOOLS = [function("look"), function("find")]


def test_a_tool_keeps_its_schema_word_for_word() -> None:
    mark = {"type": "ephemeral"}
    tool = function(description="Looks.", parameters=SCHEMA, strict=True)
    assert sent(tools=[{**tool, "cache_control": mark}])["tools"] == [
        {
            "name": "look",
            "description": "Looks.",
            "input_schema": SCHEMA,
            "strict": True,
            "cache_control": mark,
        }
    ]
    inner = function(parameters=SCHEMA, cache_control=mark)
    assert sent(tools=[inner])["tools"][0]["cache_control"] == mark


@pytest.mark.parametrize("tool", [function(), function(parameters=None), function(parameters={})])
def test_a_tool_without_parameters_takes_an_empty_object(tool: dict[str, Any]) -> None:
    assert sent(tools=[tool])["tools"] == [
        {"name": "look", "input_schema": {"type": "object", "properties": {}}}
    ]


def test_no_tools_are_no_tools() -> None:
    body = sent(tools=[], tool_choice="auto", parallel_tool_calls=False)
    assert not {"tools", "tool_choice"} & set(body)


def test_a_custom_tool_is_refused_even_with_leave_to_drop() -> None:
    custom = {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar"}}}
    error = refusal(tools=[custom], drop=True)
    assert (error.code, error.param) == ("unsupported_parameter", "tools[0].type")
    assert isinstance(refusal(tools=[custom], chosen=True), CapabilityMissing)


@pytest.mark.parametrize(
    ("choice", "theirs"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "find"}}, {"type": "tool", "name": "find"}),
    ],
)
def test_every_tool_choice_has_its_word(choice: object, theirs: dict[str, Any]) -> None:
    body = sent(tools=TOOLS, tool_choice=choice)
    assert body["tool_choice"] == theirs
    assert len(body["tools"]) == 2


@pytest.mark.parametrize(("mode", "theirs"), [("auto", "auto"), ("required", "any")])
def test_allowed_tools_are_the_only_ones_sent(mode: str, theirs: str) -> None:
    allowed = {"mode": mode, "tools": [function("find")]}
    body = sent(tools=TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in body["tools"]] == ["find"]
    assert body["tool_choice"] == {"type": theirs}


def test_calls_one_at_a_time_need_a_choice_to_stand_in() -> None:
    single = {"disable_parallel_tool_use": True}
    assert sent(tools=TOOLS, parallel_tool_calls=False)["tool_choice"] == {"type": "auto", **single}
    forced = sent(tools=TOOLS, parallel_tool_calls=False, tool_choice="required")
    assert forced["tool_choice"] == {"type": "any", **single}
    never = sent(tools=TOOLS, parallel_tool_calls=False, tool_choice="none")
    assert never["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in sent(tools=TOOLS, parallel_tool_calls=True)


@pytest.mark.parametrize(
    ("choice", "theirs"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
        ({"name": "look"}, {"type": "tool", "name": "look", "disable_parallel_tool_use": True}),
    ],
)
def test_legacy_functions_are_tools_called_one_at_a_time(
    choice: object, theirs: dict[str, Any]
) -> None:
    translated = translate(functions=[{"name": "look", "parameters": SCHEMA}], function_call=choice)
    body = translated.request.fields
    assert body["tools"] == [{"name": "look", "input_schema": SCHEMA}]
    assert body["tool_choice"] == theirs
    assert translated.form == AnswerForm(functions=True)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools[0].function.name"),
        ({"tools": [function(parameters=[])]}, "tools[0].function.parameters"),
        ({"functions": {}}, "functions"),
        ({"functions": ["x"]}, "functions[0]"),
        ({"functions": [{"name": "a"}], "function_call": {"name": "b"}}, "function_call"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": 5}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom"}}, "tool_choice.type"),
        ({"tools": TOOLS, "tool_choice": function("gone")}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": ["auto"]}}},
            "tool_choice.allowed_tools.mode",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
            "tool_choice.allowed_tools.tools",
        ),
        (
            {
                "tools": TOOLS,
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": ["x"]},
                },
            },
            "tool_choice.allowed_tools.tools",
        ),
        ({"response_format": "json"}, "response_format.type"),
        ({"response_format": {"type": ["text"]}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_what_is_no_tool_or_choice_is_refused_by_its_place(
    fields: dict[str, Any], param: str
) -> None:
    error = refusal(**fields)
    assert isinstance(error, BadRequest)
    assert (error.status, error.param) == (400, param)


def test_a_schema_is_the_output_format_of_a_model_that_can() -> None:
    translated = translate(NEW, response_format=FORMAT)
    assert translated.request.fields["output_config"] == {
        "format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}
    }
    assert translated.form == AnswerForm()
    assert translated.dropped == ()


def test_keywords_that_are_not_enforced_are_listed() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    translated = translate(
        NEW, response_format={"type": "json_schema", "json_schema": {"schema": schema}}
    )
    assert translated.dropped == ("response_format.minimum",)


def test_an_older_model_answers_through_a_forced_tool() -> None:
    translated = translate(response_format=FORMAT)
    body = translated.request.fields
    assert body["tools"] == [
        {"name": "json_output", "description": "Give the answer.", "input_schema": SCHEMA}
    ]
    assert body["tool_choice"] == {"type": "tool", "name": "json_output"}
    assert translated.form == AnswerForm(json_tool="json_output")


def test_beside_the_callers_tools_the_answer_tool_is_one_of_them() -> None:
    described = {"schema": SCHEMA, "description": "A row."}
    wanted = {"type": "json_schema", "json_schema": described}
    translated = translate(tools=[function("json_output")], response_format=wanted)
    body = translated.request.fields
    assert [tool["name"] for tool in body["tools"]] == ["json_output", "json_output_"]
    assert body["tools"][1]["description"] == "Give the answer. A row."
    assert body["tool_choice"] == {"type": "any"}
    assert translated.form.json_tool == "json_output_"


def test_calls_that_are_forced_anyway_need_no_answer_tool() -> None:
    translated = translate(tools=TOOLS, tool_choice="required", response_format=FORMAT)
    assert len(translated.request.fields["tools"]) == 2
    assert translated.form == AnswerForm()


def test_where_calls_are_forbidden_only_the_answer_tool_is_forced() -> None:
    body = sent(tools=TOOLS, tool_choice="none", response_format=FORMAT)
    assert body["tool_choice"] == {"type": "tool", "name": "json_output"}


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    body = sent(messages=messages, response_format={"type": "json_object"})
    assert [block["text"] for block in body["system"]] == ["Be brief.", JSON_INSTRUCTION]


def test_plain_text_is_no_format_at_all() -> None:
    assert set(sent(response_format={"type": "text"})) == {"model", "max_tokens", "messages"}
