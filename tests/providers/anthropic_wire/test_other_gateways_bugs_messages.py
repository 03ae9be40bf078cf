"""Bugs seen in other gateways on the way from OpenAI chat to Anthropic messages: not here."""

import json

import pytest

from gateway.core.errors import StreamCut
from gateway.core.reply import Block
from gateway.providers.anthropic_wire.messages_reply import chat_to_message
from gateway.providers.anthropic_wire.messages_stream import ChatEventsToMessage
from tests.fakes.chat_upstream import CALLED, DONE, ROLE, call, chunk, completion, fragment
from tests.fakes.messages_call import TOOL, USER, chat
from tests.fakes.messages_sdk import read_stream, told
from tests.fakes.messages_stream import translate


def test_tool_use_is_not_lost_in_the_stream() -> None:
    """LiteLLM #36262."""
    body = translate(ROLE, fragment(0, "call_1", "look"), fragment(0, arguments='{"a":1}'), CALLED)
    assert [block.type for block in read_stream(body).content] == ["tool_use"]


def test_text_and_tool_call_in_one_chunk_both_arrive() -> None:
    """LiteLLM #18238."""
    piece = {"index": 0, **call("call_1", "look", '{"a":1}')}
    read = read_stream(translate(ROLE, chunk(content="I look.", tool_calls=[piece]), CALLED))
    assert [block.type for block in read.content] == ["text", "tool_use"]
    assert read.content[1].model_dump()["input"] == {"a": 1}


def test_arguments_are_sent_as_input_json_deltas() -> None:
    """LiteLLM #25836 and #25561."""
    body = translate(
        ROLE, fragment(0, "call_1", "look", '{"a"'), fragment(0, arguments=":1}"), CALLED
    )
    deltas = [data["delta"] for data in told(body) if data["type"] == "content_block_delta"]
    assert {delta["type"] for delta in deltas} == {"input_json_delta"}
    assert "".join(delta["partial_json"] for delta in deltas) == '{"a":1}'


def test_a_call_after_no_text_has_no_empty_text_block_and_stops_for_the_tool() -> None:
    """LiteLLM #34692."""
    body = translate(
        ROLE, chunk(content=""), fragment(0, "call_1", "look", "{}"), chunk("stop"), DONE
    )
    read = read_stream(body)
    assert [block.type for block in read.content] == ["tool_use"]
    assert read.stop_reason == "tool_use"


@pytest.mark.parametrize("finish", ["stop", "tool_calls", None])
def test_a_turn_of_text_and_tool_stops_for_the_tool(finish: str | None) -> None:
    """Bifrost #6123 and #3638."""
    body, _ = chat_to_message(
        completion(finish, content="I look.", tool_calls=[call("c", "look")]), model="m"
    )
    assert json.loads(body)["stop_reason"] == "tool_use"


def test_cached_and_reasoning_tokens_reach_the_client() -> None:
    """LiteLLM #31069 and #36376."""
    usage = read_stream(translate(ROLE, chunk(content="x"), CALLED)).usage
    assert usage.cache_read_input_tokens == 10
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 3


def test_a_truncated_stream_does_not_get_an_invented_end() -> None:
    """LiteLLM's client."""
    codec = ChatEventsToMessage(model="m")
    codec.feed(Block(chunk(content="half")))
    with pytest.raises(StreamCut):
        codec.finish()


def test_the_message_always_has_a_stop_reason() -> None:
    """Bifrost #1821."""
    assert read_stream(translate(chunk(content="x"), chunk("stop"))).stop_reason == "end_turn"


def test_reasoning_deltas_are_passed_on() -> None:
    """Bifrost #974."""
    body = translate(chunk(reasoning_content="hm"), chunk("stop"), DONE)
    assert [block.type for block in read_stream(body).content] == ["thinking"]


def test_the_matched_stop_sequence_is_reported() -> None:
    """VLLM PR #45807."""
    ended = chunk("stop", choice={"stop_reason": "END"})
    assert read_stream(translate(chunk(content="x"), ended, DONE)).stop_sequence == "END"


def test_parallel_tool_use_stays_disabled() -> None:
    """Bifrost before PR #7348."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert chat(tools=[TOOL], tool_choice=choice)["parallel_tool_calls"] is False


def test_a_tools_schema_is_passed_on_verbatim() -> None:
    """Bifrost #3512."""
    schema = {"type": "object", "$defs": {"a": {"const": 1}}, "patternProperties": {"^x": {}}}
    sent = chat(tools=[{"name": "look", "input_schema": schema}])
    assert sent["tools"][0]["function"]["parameters"] == schema


def test_structured_output_and_strictness_are_not_ignored() -> None:
    """Anthropic's own compatibility layer."""
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    sent = chat(output_config={"format": wanted}, tools=[{**TOOL, "strict": True}])
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert sent["tools"][0]["function"]["strict"] is True


def test_a_system_message_in_the_middle_is_not_hoisted() -> None:
    """Anthropic's own compatibility layer."""
    messages = [*USER, {"role": "system", "content": "Now in French."}, *USER]
    roles = [message["role"] for message in chat(messages=messages)["messages"]]
    assert roles == ["user", "system", "user"]


def test_the_callers_limit_is_kept() -> None:
    """LiteLLM's default of 4096."""
    assert chat(max_tokens=20_000)["max_tokens"] == 20_000
