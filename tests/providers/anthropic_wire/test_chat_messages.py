"""What OpenAI's messages become: system blocks and alternating turns."""

from typing import Any

import pytest

from gateway.core.errors import CapabilityMissing
from gateway.providers.anthropic_wire.vocabulary import anthropic_tool_id
from tests.fakes.chat_call import HELLO, PNG, claude, function, refusal, sent, translate, turns

USER = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral"}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _call(call_id: str = "c1", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": "look", "arguments": arguments},
        **more,
    }


def _asks(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def _tool(call_id: str = "c1", content: Any = "fine", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def test_leading_system_messages_stay_separate_blocks_with_their_cache_marks() -> None:
    body = sent(
        messages=[
            {"role": "system", "content": "one", "cache_control": MARK},
            {"role": "developer", "content": [_text("two"), {**_text("three")}, _text("")]},
            USER,
        ]
    )
    assert body["system"] == [{**_text("one"), "cache_control": MARK}, _text("two"), _text("three")]
    assert body["messages"] == [{"role": "user", "content": [_text("hi")]}]


def test_a_system_message_in_the_middle_stays_there_in_a_marker() -> None:
    body = sent(messages=[USER, {"role": "system", "content": "be brief"}, USER])
    assert "system" not in body
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                _text("hi"),
                _text("<system-message>\nbe brief\n</system-message>"),
                _text("hi"),
            ],
        }
    ]


def test_a_model_that_takes_system_messages_in_the_middle_gets_them_there() -> None:
    served = claude(mid_system=True)
    system = {"role": "system", "content": "be brief"}
    assert turns(USER, system, system, served=served) == [
        {"role": "user", "content": [_text("hi")]},
        {"role": "system", "content": [_text("be brief"), _text("be brief")]},
    ]
    after_an_answer = turns(
        USER, {"role": "assistant", "content": "yes"}, system, USER, served=served
    )
    assert [turn["role"] for turn in after_an_answer] == ["user", "assistant", "user"]
    assert after_an_answer[2]["content"][0]["text"].startswith("<system-message>")


def test_turns_of_one_role_are_merged_in_order() -> None:
    answer = {"role": "assistant", "content": "b"}
    assert turns(USER, USER, answer, answer, USER) == [
        {"role": "user", "content": [_text("hi"), _text("hi")]},
        {"role": "assistant", "content": [_text("b"), _text("b")]},
        {"role": "user", "content": [_text("hi")]},
    ]


def test_all_results_of_a_turn_come_first_in_one_user_turn() -> None:
    found = turns(
        USER,
        _asks(_call("c1"), _call("c2")),
        {"role": "system", "content": "careful"},
        _tool("c2", "two"),
        USER,
        _tool("c1", "one"),
    )
    assert [turn["role"] for turn in found] == ["user", "assistant", "user"]
    assert [block["type"] for block in found[1]["content"]] == ["tool_use", "tool_use"]
    kinds = [block.get("tool_use_id") or block["text"] for block in found[2]["content"]]
    assert kinds == ["c2", "c1", "<system-message>\ncareful\n</system-message>", "hi"]


def test_results_go_before_a_system_turn_that_stands_between() -> None:
    found = turns(
        USER, _asks(_call()), _tool(), {"role": "system", "content": "s"}, USER,
        served=claude(mid_system=True),
    )  # fmt: skip
    assert [turn["role"] for turn in found] == ["user", "assistant", "user", "system", "user"]
    assert found[2]["content"][0]["type"] == "tool_result"


def test_text_and_calls_of_one_message_are_both_kept_and_empty_text_is_not() -> None:
    full = turns(USER, _asks(_call(arguments='{"a": 1}'), content="look"), _tool())
    assert full[1]["content"] == [
        _text("look"),
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
    ]
    empty = turns(USER, _asks(_call(), content=""), _tool())
    assert [block["type"] for block in empty[1]["content"]] == ["tool_use"]


def test_wholly_empty_messages_disappear() -> None:
    nothing = {"role": "assistant", "content": ""}
    assert turns(USER, nothing, USER, {"role": "user", "content": []}) == [
        {"role": "user", "content": [_text("hi"), _text("hi")]}
    ]


@pytest.mark.parametrize(
    "messages", [[{"role": "user", "content": ""}], [{"role": "system", "content": "only"}]]
)
def test_a_conversation_without_any_turn_is_refused(messages: list[dict[str, Any]]) -> None:
    error = refusal(messages=messages)
    assert (error.status, error.param) == (400, "messages")


@pytest.mark.parametrize("arguments", ["", None])
def test_arguments_that_are_empty_are_an_empty_object(arguments: object) -> None:
    assert turns(USER, _asks(_call(arguments=arguments)), _tool())[1]["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", "5", {"a": 1}, '{"a":NaN}', "[" * 2000])
def test_arguments_that_are_no_object_are_refused_by_their_place(arguments: object) -> None:
    error = refusal(messages=[USER, _asks(_call(), _call("c2", arguments)), _tool()])
    assert error.param == "messages[1].tool_calls[1].function.arguments"
    assert "messages[1].tool_calls[1].function.arguments" in error.public


def test_an_id_that_anthropic_would_refuse_is_mapped_alike_on_call_and_result() -> None:
    found = turns(USER, _asks(_call("functions.look:0")), _tool("functions.look:0"))
    new = found[1]["content"][0]["id"]
    assert new == found[2]["content"][0]["tool_use_id"] == anthropic_tool_id("functions.look:0")


def test_a_result_may_hold_parts_pictures_and_nothing() -> None:
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    found = turns(
        USER,
        _asks(_call("a"), _call("b"), _call("c")),
        _tool("a", "plain"),
        _tool("b", [{"type": "text", "text": "x", "cache_control": MARK}, picture]),
        _tool("c", ""),
    )[2]["content"]
    assert found[0]["content"] == "plain"
    assert [block["type"] for block in found[1]["content"]] == ["text", "image"]
    assert found[1]["content"][0]["cache_control"] == MARK
    assert "content" not in found[2]


def test_cache_marks_stay_on_calls_results_and_messages() -> None:
    found = turns(
        {**USER, "cache_control": MARK},
        _asks(_call(cache_control=MARK)),
        _tool(cache_control=MARK),
    )
    assert [turn["content"][0]["cache_control"] for turn in found] == [MARK] * 3


def test_marks_inside_results_count_towards_the_four() -> None:
    parts = [{"type": "text", "text": "x", "cache_control": MARK}] * 5
    error = refusal(messages=[USER, _asks(_call()), _tool(content=parts)])
    assert error.param == "cache_control"


def test_thinking_comes_first_in_its_turn() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "S"}
    found = turns(USER, _asks(_call(), content="look", thinking_blocks=[thought]), _tool())
    assert [block["type"] for block in found[1]["content"]] == ["thinking", "text", "tool_use"]


def test_an_assistants_refusal_is_its_text() -> None:
    found = turns(USER, {"role": "assistant", "refusal": "no"}, USER)
    assert found[1]["content"] == [_text("no")]


def test_a_legacy_function_call_and_its_result_find_each_other() -> None:
    call = {"name": "look", "arguments": '{"a":1}'}
    found = turns(
        USER,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "look", "content": "fine"},
    )
    use = found[1]["content"][0]
    assert (use["name"], use["input"]) == ("look", {"a": 1})
    assert found[2]["content"][0]["tool_use_id"] == use["id"]


def test_a_prefill_loses_its_trailing_space_where_it_may_stand() -> None:
    assert turns(USER, {"role": "assistant", "content": "So \n"})[-1]["content"] == [_text("So")]
    assert len(turns(USER, {"role": "assistant", "content": "  "})) == 1
    two = turns(USER, {"role": "assistant", "content": [_text("So"), _text(" ")]})
    assert two[-1]["content"] == [_text("So")]


def test_a_prefill_is_a_missing_capability_elsewhere() -> None:
    error = refusal(claude(prefill=False), messages=[USER, {"role": "assistant", "content": "So"}])
    assert isinstance(error, CapabilityMissing)
    assert (error.code, error.param) == ("capability_missing", "messages[1]")


def test_calls_that_nobody_answered_go_as_they_are() -> None:
    assert turns(USER, _asks(_call()))[-1]["content"][0]["type"] == "tool_use"


def test_a_speakers_name_is_listed_as_lost() -> None:
    assert translate(messages=[{**USER, "name": "Ann"}]).dropped == ("messages.name",)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "critic", "content": "x"}, "messages[1].role"),
        ({"role": "tool", "content": "x"}, "messages[1].tool_call_id"),
        ({"role": "tool", "tool_call_id": "", "content": "x"}, "messages[1].tool_call_id"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[1]"),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[1].audio"),
        ({"role": "assistant", "tool_calls": {}}, "messages[1].tool_calls"),
        ({"role": "assistant", "tool_calls": ["x"]}, "messages[1].tool_calls[0]"),
        (_asks(_call("")), "messages[1].tool_calls[0].id"),
        (_asks({"type": "custom", "id": "a"}), "messages[1].tool_calls[0].type"),
        (_asks({"id": "a", "function": {}}), "messages[1].tool_calls[0].function.name"),
        ({"role": "assistant", "function_call": "x"}, "messages[1].function_call.name"),
        ({"role": "user", "content": 5}, "messages[1].content"),
        (
            {"role": "system", "content": [{"type": "image_url", "image_url": PNG}]},
            "messages[1].content[0].type",
        ),
    ],
)
def test_what_is_no_message_is_refused_by_its_place(message: dict[str, Any], param: str) -> None:
    error = refusal(messages=[*HELLO, message, USER], tools=[function()])
    assert (error.status, error.param) == (400, param)
