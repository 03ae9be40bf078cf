"""Whole answers told as streams and folded back, and real streams folded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.assemble import assembler_for
from gateway.core.chat import Endpoint
from gateway.core.meter import AnthropicMeter, OpenAIMeter
from gateway.core.replay import PIECE, whole_to_blocks
from gateway.core.reply import Block, Usage
from gateway.core.sse import DONE, encode_event, events

TEXT = st.one_of(
    st.text(max_size=20), st.text(max_size=20).map(lambda t: (t + "é😀") * (PIECE // 2))
)
SHORT = st.text(max_size=8)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), SHORT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
NUMBER = st.integers(0, 10**6)


def optional(required: dict[str, Any], **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=more)


LOGPROBS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"content": st.lists(st.fixed_dictionaries({"token": SHORT}), max_size=3)},
        optional={"refusal": st.none()},
    ),
)
CALL = optional(
    {
        "id": SHORT,
        "type": st.just("function"),
        "function": optional({"name": SHORT, "arguments": TEXT}, strict=st.booleans()),
    },
    extra_content=JSON,
)
CUSTOM_CALL = st.fixed_dictionaries(
    {"id": SHORT, "type": st.just("custom"), "custom": st.dictionaries(SHORT, SHORT, max_size=2)}
)
MESSAGE = optional(
    {"role": st.just("assistant"), "content": st.none() | TEXT},
    refusal=st.none() | TEXT,
    reasoning_content=st.none() | TEXT,
    reasoning=st.none() | TEXT,
    reasoning_details=st.lists(
        optional({"type": SHORT, "text": SHORT}, index=st.integers(0, 2)), max_size=3
    ),
    tool_calls=st.none() | st.lists(CALL | CUSTOM_CALL, max_size=3),
    function_call=st.none() | st.fixed_dictionaries({"name": SHORT, "arguments": SHORT}),
    annotations=st.lists(JSON, max_size=2),
    audio=st.none() | st.fixed_dictionaries({"id": SHORT, "data": SHORT, "transcript": SHORT}),
    unheard_of=JSON,
)
USAGE = st.fixed_dictionaries(
    {"prompt_tokens": NUMBER, "completion_tokens": NUMBER, "total_tokens": NUMBER},
    optional={
        "prompt_tokens_details": st.none() | st.fixed_dictionaries({"cached_tokens": NUMBER}),
        "completion_tokens_details": st.fixed_dictionaries({"reasoning_tokens": NUMBER}),
    },
)


def numbered(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**choice, "index": index} for index, choice in enumerate(choices)]


FINISH = st.none() | st.sampled_from(["stop", "length", "tool_calls"])
CHAT = optional(
    {
        "id": SHORT,
        "object": st.just("chat.completion"),
        "created": NUMBER,
        "model": SHORT,
        "choices": st.lists(
            optional(
                {"message": MESSAGE, "finish_reason": FINISH},
                logprobs=LOGPROBS,
                content_filter_results=JSON,
            ),
            max_size=3,
        ).map(numbered),
    },
    usage=st.none() | USAGE,
    system_fingerprint=st.none() | SHORT,
    service_tier=st.none() | SHORT,
    prompt_filter_results=st.lists(JSON, max_size=2),
)
COMPLETION = optional(
    {
        "id": SHORT,
        "object": st.just("text_completion"),
        "choices": st.lists(
            optional({"text": TEXT, "finish_reason": FINISH}, logprobs=LOGPROBS), max_size=3
        ).map(numbered),
    },
    usage=USAGE,
    system_fingerprint=st.none() | SHORT,
)
BLOCK = st.one_of(
    optional(
        {"type": st.just("text"), "text": TEXT},
        citations=st.none() | st.lists(st.dictionaries(SHORT, SHORT, max_size=2), max_size=2),
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": SHORT}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": SHORT}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["tool_use", "server_tool_use"]),
            "id": SHORT,
            "name": SHORT,
            "input": st.dictionaries(SHORT, JSON, max_size=3),
        }
    ),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "content": JSON}),
)
MESSAGES = optional(
    {
        "id": SHORT,
        "type": st.just("message"),
        "role": st.just("assistant"),
        "model": SHORT,
        "content": st.lists(BLOCK, max_size=4),
        "stop_reason": st.none() | SHORT,
        "stop_sequence": st.none() | SHORT,
        "usage": optional(
            {"input_tokens": NUMBER, "output_tokens": NUMBER},
            cache_read_input_tokens=st.none() | NUMBER,
            service_tier=st.none() | SHORT,
        ),
    },
    stop_details=st.none() | st.dictionaries(SHORT, SHORT, max_size=2),
    container=st.none() | st.dictionaries(SHORT, SHORT, max_size=2),
)


def tell(answer: Any, endpoint: Endpoint) -> list[Block]:
    return list(whole_to_blocks(json.dumps(answer).encode(), endpoint, include_usage=True))


def fold(blocks: list[Block], endpoint: Endpoint) -> tuple[Any, Usage | None]:
    assembler = assembler_for(endpoint)
    for block in blocks:
        assembler.feed(block)
    body, usage = assembler.finish()
    return json.loads(body), usage


@given(CHAT)
def test_a_chat_answer_survives_being_a_stream(answer: dict[str, Any]) -> None:
    assert fold(tell(answer, "chat"), "chat")[0] == answer


@given(COMPLETION)
def test_a_completion_survives_being_a_stream(answer: dict[str, Any]) -> None:
    assert fold(tell(answer, "completions"), "completions")[0] == answer


@given(MESSAGES)
def test_a_message_survives_being_a_stream(answer: dict[str, Any]) -> None:
    assert fold(tell(answer, "messages"), "messages")[0] == answer


@given(CHAT)
def test_a_told_chat_answer_is_a_clean_stream_to_a_meter(answer: dict[str, Any]) -> None:
    meter = OpenAIMeter(hide_usage=False)
    for choice in answer["choices"]:
        choice["message"]["content"], choice["finish_reason"] = "x", "stop"
    if not answer["choices"]:
        return
    for block in tell(answer, "chat"):
        assert meter.feed(block) == block
    assert meter.tally.clean


@given(MESSAGES)
def test_a_told_message_is_a_clean_stream_to_a_meter(answer: dict[str, Any]) -> None:
    meter = AnthropicMeter()
    for block in tell(answer, "messages"):
        assert meter.feed(block) == block
    assert meter.tally.clean


def chunks(*parts: dict[str, Any]) -> list[Block]:
    return [encode_event(json.dumps(part).encode()) for part in parts] + [DONE]


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": None}


def test_a_real_stream_of_parallel_calls_is_folded() -> None:
    stream = chunks(
        delta(role="assistant", content=None),
        delta(
            tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}],
        ),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]),
        delta(tool_calls=[{"index": 0, "id": "", "function": {"arguments": '{"x":'}}]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": "}"}}]),
        {**delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]), "obfuscation": "q"},
        delta(finish="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    )
    answer, usage = fold(stream, "chat")
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    assert usage == Usage(input=3, output=4)
    assert "obfuscation" not in answer


def test_reasoning_fragments_and_interleaved_choices_are_joined() -> None:
    def thought(text: str) -> list[dict[str, Any]]:
        return [{"type": "reasoning.text", "text": text, "index": 0, "format": None}]

    stream = chunks(
        delta(role="assistant", content="", reasoning="a", reasoning_details=thought("a")),
        delta(index=1, content="second"),
        delta(content="x", reasoning="b", reasoning_details=thought("b")),
        delta(content="y", logprobs=None),
        delta(finish="stop"),
        delta(index=1, finish="length"),
    )
    first, second = fold(stream, "chat")[0]["choices"]
    assert first["message"]["content"] == "xy"
    assert first["message"]["reasoning"] == "ab"
    assert first["message"]["reasoning_details"] == thought("ab")
    assert (second["message"], second["finish_reason"]) == ({"content": "second"}, "length")


def test_calls_without_a_number_are_kept_apart() -> None:
    one, two = ({"id": name, "function": {"name": name, "arguments": "{}"}} for name in "ab")
    answer, _ = fold(chunks(delta(tool_calls=[one]), delta(tool_calls=[two])), "chat")
    assert answer["choices"][0]["message"]["tool_calls"] == [one, two]


def message_event(kind: str, **fields: Any) -> Block:
    return encode_event(json.dumps({"type": kind, **fields}).encode(), kind)


def test_a_real_message_stream_is_folded() -> None:
    stream = [
        message_event("message_start", message={"id": "m", "usage": {"input_tokens": 1}}),
        message_event("ping"),
        message_event(
            "content_block_start", index=0, content_block={"type": "compaction", "content": None}
        ),
        message_event(
            "content_block_delta", index=0, delta={"type": "compaction_delta", "content": "c"}
        ),
        message_event("content_block_delta", index=0, delta={"type": "from_the_future"}),
        message_event("content_block_stop", index=0),
        message_event(
            "content_block_start",
            index=1,
            content_block={"type": "tool_use", "id": "t", "name": "n", "input": {}},
        ),
        message_event(
            "content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": ""}
        ),
        message_event(
            "message_delta",
            delta={"stop_reason": "tool_use"},
            usage={"output_tokens": 9},
            context_management={"applied_edits": []},
        ),
        message_event("message_stop"),
    ]
    message, usage = fold(stream, "messages")
    assert message["content"] == [
        {"type": "compaction", "content": "c"},
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["context_management"] == {"applied_edits": []}
    assert usage == Usage(input=1, output=9)


@pytest.mark.parametrize(
    ("endpoint", "block"),
    [
        ("messages", message_event("content_block_delta", index=3, delta={})),
        ("messages", message_event("message_start")),
        ("messages", encode_event(b"[]")),
        ("chat", encode_event(b"[]")),
        ("chat", encode_event(b"{")),
    ],
)
def test_what_cannot_be_folded_is_a_value_error(endpoint: Endpoint, block: Block) -> None:
    with pytest.raises(ValueError, match=r"JSON|message event"):
        assembler_for(endpoint).feed(block)


def test_nothing_told_is_nothing_folded() -> None:
    assert fold([DONE], "chat") == ({"choices": []}, None)
    assert fold([], "messages") == ({"content": []}, None)
    assert list(events(DONE))
