"""Calls, text and reasoning of a chat stream as Anthropic's content blocks, one after the other."""

import itertools
from typing import Any

import pytest
from anthropic.types import TextBlock, ThinkingBlock, ToolUseBlock
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import StreamCut
from gateway.providers.anthropic_wire.messages_stream import ChatEventsToMessage
from tests.fakes.chat_upstream import CALLED, DONE, END, ROLE, chunk, fragment, usage_chunk
from tests.fakes.messages_sdk import read_stream
from tests.fakes.messages_stream import feed, shape, translate, translate_failing


def test_two_parallel_calls_are_read_by_the_sdk() -> None:
    body = translate(
        ROLE,
        fragment(0, "call_1", "look"),
        fragment(0, arguments='{"at"'),
        fragment(0, arguments=":1}"),
        fragment(1, "call_2", "hear"),
        fragment(1, arguments='{"who":"me"}'),
        CALLED,
    )
    read = read_stream(body)
    assert read.content == [
        ToolUseBlock(type="tool_use", id="call_1", name="look", input={"at": 1}),
        ToolUseBlock(type="tool_use", id="call_2", name="hear", input={"who": "me"}),
    ]
    assert read.stop_reason == "tool_use"


def test_interleaved_fragments_wait_until_the_open_call_is_complete() -> None:
    body = translate(
        fragment(0, "a", "look", '{"x":'),
        fragment(1, "b", "hear", '{"y":'),
        fragment(0, arguments="1"),
        fragment(1, arguments="2"),
        fragment(0, arguments="}"),
        fragment(1, arguments="}"),
        CALLED,
    )
    assert shape(body)[1:-2] == [
        "start 0",
        'delta 0 {"x":',
        "delta 0 1",
        "delta 0 }",
        "stop 0",
        "start 1",
        'delta 1 {"y":2}',
        "stop 1",
    ]


def test_a_closing_brace_inside_the_arguments_does_not_close_the_call() -> None:
    body = translate(
        fragment(0, "a", "look", '{"x":{}'),
        fragment(1, "b", "hear", "{}"),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": ""}}]),
        fragment(0, arguments=',"y":2}'),
        CALLED,
    )
    inputs = [block.model_dump()["input"] for block in read_stream(body).content]
    assert inputs == [{"x": {}, "y": 2}, {}]


def test_the_second_call_streams_live_once_the_first_is_complete() -> None:
    codec = ChatEventsToMessage(model="m")
    feed(codec, fragment(0, "a", "look", '{"x":1}'))
    assert b"content_block_stop" in feed(codec, fragment(1, "b", "hear"))
    assert b"input_json_delta" in feed(codec, fragment(1, arguments='{"y"'))


def test_text_after_an_unfinished_call_waits_for_it() -> None:
    body = translate(
        fragment(0, "a", "look", '{"x":'),
        chunk(content="And "),
        chunk(content="so."),
        fragment(0, arguments="1}"),
        fragment(1, "b", "hear", "{}"),
        CALLED,
    )
    read = read_stream(body)
    assert [block.type for block in read.content] == ["tool_use", "text", "tool_use"]
    assert shape(body)[4:8] == ["stop 0", "start 1", "delta 1 And so.", "stop 1"]


def test_text_and_call_in_one_chunk_are_both_kept() -> None:
    piece = {"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}}
    read = read_stream(translate(chunk(content="Hm.", tool_calls=[piece]), CALLED))
    assert [block.type for block in read.content] == ["text", "tool_use"]


@pytest.mark.parametrize("arguments", ["", "null", " "])
def test_a_call_without_arguments_streams_an_empty_object(arguments: str) -> None:
    body = translate(fragment(0, "a", "look"), fragment(0, arguments=arguments), CALLED)
    assert shape(body)[1:4] == ["start 0", "delta 0 {}", "stop 0"]
    assert read_stream(body).content[0].model_dump()["input"] == {}


def test_whole_calls_without_index_are_told_apart() -> None:
    calls = [
        {"id": "a", "function": {"name": "look", "arguments": {"x": 1}}},
        {"id": "b", "function": {"name": "look", "arguments": '{"x":2}'}},
    ]
    read = read_stream(translate(chunk(tool_calls=calls), chunk("stop"), DONE))
    assert [block.model_dump()["input"] for block in read.content] == [{"x": 1}, {"x": 2}]
    assert read.stop_reason == "tool_use"


def test_fragments_without_index_belong_to_their_id_or_to_the_newest_call() -> None:
    body = translate(
        fragment(None, "a", "look", '{"x"'),
        fragment(None, arguments=":1"),
        fragment(None, "a", arguments="}"),
        fragment(None, "", "hear", "{}"),
        CALLED,
    )
    inputs = [block.model_dump()["input"] for block in read_stream(body).content]
    assert inputs == [{"x": 1}, {}]


def test_calls_that_all_have_index_0_are_told_apart_by_id() -> None:
    body = translate(
        fragment(0, "a", "look", '{"x":1}'), fragment(0, "b", "look", '{"x":2}'), CALLED
    )
    assert [block.model_dump()["id"] for block in read_stream(body).content] == ["a", "b"]


def test_a_name_that_is_sent_twice_makes_no_second_call() -> None:
    body = translate(fragment(0, "0", "look"), fragment(0, "0", "look", '{"x":1}'), CALLED)
    assert len(read_stream(body).content) == 1


def test_a_name_that_comes_late_is_waited_for() -> None:
    body = translate(
        fragment(0, "a", arguments='{"x"'), fragment(0, name="look", arguments=":1}"), CALLED
    )
    assert read_stream(body).content == [
        ToolUseBlock(type="tool_use", id="a", name="look", input={"x": 1})
    ]


def test_arguments_repeated_after_the_call_is_closed_are_passed_over() -> None:
    body = translate(
        fragment(0, "a", "look", '{"x":1}'),
        fragment(1, "b", "hear", "{}"),
        fragment(0, arguments='{"x":1}'),
        CALLED,
    )
    assert len(read_stream(body).content) == 2


def test_the_legacy_function_call_streams_as_a_tool_call() -> None:
    body = translate(
        chunk(function_call={"name": "f", "arguments": ""}),
        chunk(function_call={"arguments": '{"x":1}'}),
        chunk("function_call"),
        DONE,
    )
    read = read_stream(body)
    assert read.content[0].model_dump(include={"name", "input"}) == {"name": "f", "input": {"x": 1}}
    assert read.stop_reason == "tool_use"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_thinking_block_that_closes_before_the_text(field: str) -> None:
    said: list[dict[str, Any]] = [{field: "h"}, {field: "m", "content": ""}, {"content": "A"}]
    body = translate(*(chunk(**delta) for delta in said), END)
    read = read_stream(body)
    assert read.content[0] == ThinkingBlock(type="thinking", thinking="hm", signature="")
    assert isinstance(read.content[1], TextBlock)
    assert shape(body)[1:7] == [
        "start 0",
        "delta 0 h",
        "delta 0 m",
        "stop 0",
        "start 1",
        "delta 1 A",
    ]


def test_empty_deltas_open_no_block() -> None:
    body = translate(ROLE, chunk(content=""), chunk(content=None), chunk("stop"), DONE)
    assert shape(body) == ["start", "delta", "stop"]
    assert read_stream(body).content == []


def test_a_call_that_the_limit_cut_off_ends_with_max_tokens() -> None:
    body = translate(fragment(0, "a", "look", '{"x":'), chunk("length"), DONE)
    assert read_stream(body).stop_reason == "max_tokens"


@pytest.mark.parametrize("arguments", ['{"x":', "[1]"])
def test_a_broken_call_never_ends_cleanly(arguments: str) -> None:
    out, error = translate_failing(fragment(0, "a", "look", arguments), CALLED)
    assert isinstance(error, StreamCut)
    assert b"message_stop" not in out


def test_a_call_that_never_gets_a_name_never_ends_cleanly() -> None:
    assert isinstance(translate_failing(fragment(0, "a", arguments="{}"), CALLED)[1], StreamCut)


EVENTS = [
    b": OPENROUTER PROCESSING\n\n",
    ROLE,
    b": OPENROUTER PROCESSING\n\n",
    chunk(reasoning="hm"),
    chunk(content="Größe \u2028 "),
    chunk(content="ok\n\n: no comment"),
    fragment(0, "a", "look", '{"x":'),
    fragment(1, "b", "hear", '{"y":'),
    b": OPENROUTER PROCESSING\n\n",
    fragment(0, arguments="1}"),
    chunk(content="late"),
    fragment(1, arguments="2}"),
    chunk("tool_calls"),
    usage_chunk(),
    DONE,
]


@given(st.sets(st.integers(1, len(EVENTS) - 1)))
def test_any_grouping_of_events_into_blocks_gives_the_same_bytes(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(EVENTS)]
    blocks = [b"".join(EVENTS[a:b]) for a, b in itertools.pairwise(edges)]
    assert translate(*blocks) == translate(*EVENTS)
