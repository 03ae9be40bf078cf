"""What a whole OpenAI chat completion becomes for an Anthropic client."""

import json
from typing import Any

import pytest
from anthropic.types import TextBlock, ThinkingBlock, ToolUseBlock

from gateway.core.errors import (
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
)
from gateway.core.reply import Usage
from gateway.providers.anthropic_wire.messages_reply import chat_to_message
from tests.fakes.chat_upstream import USAGE, call, completion
from tests.fakes.messages_sdk import read_whole


def message(body: bytes) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(chat_to_message(body, model="ours")[0])
    return made


def failure(body: bytes) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        chat_to_message(body, model="ours")
    return caught.value


def test_the_sdk_reads_text_stop_reason_and_usage() -> None:
    body, usage = chat_to_message(completion(content="Hello."), model="ours")
    read = read_whole(body)
    assert (read.id, read.type, read.role, read.model) == ("msg_1", "message", "assistant", "ours")
    assert read.content == [TextBlock(type="text", text="Hello.")]
    assert (read.stop_reason, read.stop_sequence) == ("end_turn", None)
    assert read.usage.input_tokens == 20
    assert read.usage.cache_read_input_tokens == 10
    assert read.usage.cache_creation_input_tokens == 0
    assert read.usage.output_tokens == 7
    assert usage == Usage(input=30, output=7, cached=10, reasoning=3)


def test_tool_calls_keep_ids_names_and_arguments() -> None:
    calls = [call("call_1", "look", '{"at": 1}'), call("call_2", "stop", "")]
    read = read_whole(chat_to_message(completion("tool_calls", tool_calls=calls), model="m")[0])
    assert read.content == [
        ToolUseBlock(type="tool_use", id="call_1", name="look", input={"at": 1}),
        ToolUseBlock(type="tool_use", id="call_2", name="stop", input={}),
    ]
    assert read.stop_reason == "tool_use"


@pytest.mark.parametrize("arguments", ["", " ", "null", "{}", None, {}])
def test_a_call_without_arguments_has_an_empty_input(arguments: object) -> None:
    made = message(completion(tool_calls=[call("c", "look", arguments)]))
    assert made["content"][0]["input"] == {}


def test_arguments_that_are_an_object_already_are_taken() -> None:
    made = message(completion(tool_calls=[call("c", "look", {"a": [1]})]))
    assert made["content"][0]["input"] == {"a": [1]}


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", '"x"'])
def test_broken_arguments_are_the_upstreams_fault(arguments: str) -> None:
    error = failure(completion("tool_calls", tool_calls=[call("c", "look", arguments)]))
    assert isinstance(error, UpstreamBroken)
    assert error.code == "bad_upstream"


def test_a_call_that_the_limit_cut_off_is_left_out() -> None:
    calls = [call("c", "look", '{"a":1}'), call("d", "look", '{"a":')]
    made = message(completion("length", tool_calls=calls))
    assert [block["id"] for block in made["content"]] == ["c"]
    assert made["stop_reason"] == "max_tokens"


def test_ids_that_anthropic_would_refuse_or_that_repeat_are_replaced() -> None:
    calls = [call("functions.a:0", "a"), call("", "b"), call("", "c"), call("x", "d")]
    made = message(completion(tool_calls=[*calls, call("x", "e")]))
    ids = [block["id"] for block in made["content"]]
    assert len(set(ids)) == 5
    assert ids[3] == "x"
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in ids)
    assert message(completion(tool_calls=[*calls, call("x", "e")]))["content"] == made["content"]


def test_the_legacy_function_call_is_a_tool_call() -> None:
    made = message(completion("function_call", function_call={"name": "f", "arguments": "{}"}))
    assert made["content"][0]["name"] == "f"
    assert made["stop_reason"] == "tool_use"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_becomes_a_thinking_block_before_the_text(field: str) -> None:
    read = read_whole(chat_to_message(completion(content="A.", **{field: "hm"}), model="m")[0])
    assert read.content == [
        ThinkingBlock(type="thinking", thinking="hm", signature=""),
        TextBlock(type="text", text="A."),
    ]


def test_content_in_parts_is_read() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    other = {"type": "thinking", "thinking": "so"}
    parts = [thinking, other, {"type": "text", "text": "A."}, {"type": "audio"}, 5]
    kinds = [block["type"] for block in message(completion(content=parts))["content"]]
    assert kinds == ["thinking", "thinking", "text"]


def test_a_refusal_is_text_and_the_stop_reason() -> None:
    read = read_whole(chat_to_message(completion(refusal="I can't."), model="m")[0])
    assert read.content == [TextBlock(type="text", text="I can't.")]
    assert read.stop_reason == "refusal"
    assert read.stop_details is not None
    assert read.stop_details.explanation == "I can't."


def test_a_filtered_answer_without_a_message_is_a_refusal() -> None:
    body = b'{"id":"","choices":[{"index":0,"finish_reason":"content_filter"}]}'
    made = message(body)
    assert (made["content"], made["stop_reason"]) == ([], "refusal")
    assert made["id"].startswith("msg_")
    assert made["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        (None, "end_turn"),
        ("eos", "end_turn"),
    ],
)
def test_stop_reasons(finish: str | None, expected: str) -> None:
    assert message(completion(finish, content="x"))["stop_reason"] == expected


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
def test_a_matched_stop_string_is_reported(field: str) -> None:
    whole = json.loads(completion(content="x"))
    whole["choices"][0][field] = "END"
    made = message(json.dumps(whole).encode())
    assert (made["stop_reason"], made["stop_sequence"]) == ("stop_sequence", "END")


@pytest.mark.parametrize("value", [None, 128_009, "end_turn", ""])
def test_what_is_no_stop_string_is_not_reported_as_one(value: object) -> None:
    whole = json.loads(completion(content="x"))
    whole["choices"][0]["stop_reason"] = value
    made = message(json.dumps(whole).encode())
    assert (made["stop_reason"], made["stop_sequence"]) == ("end_turn", None)


def test_more_cached_than_prompt_tokens_never_gives_negative_input() -> None:
    usage = {**USAGE, "prompt_tokens": 5}
    assert message(completion(content="x", usage=usage))["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":5}',
        b'{"choices":[{"message":"x"}]}',
        b'{"choices":[{"message":{"tool_calls":[1]}}]}',
        b'{"choices":[{"message":{"tool_calls":[{"function":1}]}}]}',
        b'{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}',
    ],
)
def test_what_is_no_completion_is_a_broken_upstream(body: bytes) -> None:
    error = failure(body)
    assert isinstance(error, UpstreamBroken)
    assert error.code == "bad_upstream"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": 429}, UpstreamBusy),
        ({"message": "no", "type": "invalid_request_error"}, UpstreamRefused),
        ({"message": "key", "code": "invalid_api_key"}, UpstreamDenied),
        ({"message": "?"}, UpstreamBroken),
    ],
)
def test_an_error_with_status_200_is_an_error(
    error: dict[str, Any], kind: type[UpstreamError]
) -> None:
    assert isinstance(failure(json.dumps({"error": error}).encode()), kind)
    whole = {"object": "error", **error}
    assert isinstance(failure(json.dumps(whole).encode()), kind)


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_was_broken_off_is_not_passed_off_as_whole(finish: str) -> None:
    assert isinstance(failure(completion(finish, content="half")), UpstreamBroken)
