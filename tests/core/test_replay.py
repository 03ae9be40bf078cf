"""What a stream that is told from a whole answer looks like; folding is tested in assemble."""

import json
from typing import Any

import pytest

from gateway.core.chat import Endpoint
from gateway.core.replay import PIECE, whole_to_blocks
from gateway.core.sse import DONE, events

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def chat(message: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {
        "id": "c1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [choice],
        "usage": USAGE,
        **more,
    }
    return json.dumps(answer).encode()


def told(body: bytes, endpoint: Endpoint = "chat", *, usage: bool = False) -> list[Any]:
    blocks = list(whole_to_blocks(body, endpoint, include_usage=usage))
    assert all(block.endswith(b"\n\n") for block in blocks)
    found = [event.data for block in blocks for event in events(block)]
    return [data if data == b"[DONE]" else json.loads(data) for data in found]


def test_a_chat_answer_is_told_as_openai_tells_it() -> None:
    first, text, last, done = told(chat({"role": "assistant", "content": "hi", "refusal": None}))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert text["choices"][0] == {"index": 0, "delta": {"content": "hi"}, "finish_reason": None}
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert done == b"[DONE]"
    for chunk in (first, text, last):
        assert chunk["object"] == "chat.completion.chunk"
        assert (chunk["id"], chunk["created"], chunk["model"]) == ("c1", 5, "m")
        assert "usage" not in chunk


def test_usage_comes_in_its_own_event_when_asked_for() -> None:
    *chunks, last, done = told(chat({"role": "assistant", "content": "hi"}), usage=True)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"], done) == ([], USAGE, b"[DONE]")


def test_calls_are_numbered_and_named_once() -> None:
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in "ab"
    ]
    chunks = told(chat({"role": "assistant", "content": None, "tool_calls": calls}))
    parts = [c["choices"][0]["delta"].get("tool_calls") for c in chunks if c != b"[DONE]"]
    assert [part[0] for part in parts if part] == [
        {**calls[0], "index": 0, "function": {"name": "a", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {**calls[1], "index": 1, "function": {"name": "b", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]


def test_long_text_is_told_in_pieces() -> None:
    text = "é" * (3 * PIECE + 1)
    chunks = told(chat({"role": "assistant", "content": text}))[:-1]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == text
    assert max(map(len, pieces)) == PIECE


def test_what_belongs_to_the_whole_answer_is_told_once() -> None:
    chunks = told(chat({"role": "assistant", "content": "x"}, prompt_filter_results=[1]))[:-1]
    assert ["prompt_filter_results" in chunk for chunk in chunks] == [True, False, False]
    chunks = told(chat({}, choices=[], prompt_filter_results=[1]))
    assert chunks[0]["prompt_filter_results"] == [1]


def test_a_message_is_told_as_anthropic_tells_it() -> None:
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "hi", "citations": [{"url": "u"}]},
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    body = json.dumps(message).encode()
    blocks = list(whole_to_blocks(body, "messages", include_usage=False))
    found = [event for block in blocks for event in events(block)]
    assert all(event.name == json.loads(event.data)["type"] for event in found)
    payloads = [json.loads(event.data) for event in found]
    assert payloads[0]["message"]["content"] == []
    assert payloads[0]["message"]["stop_reason"] is None
    assert payloads[0]["message"]["usage"] == {"input_tokens": 1, "output_tokens": 0}
    assert [p["content_block"] for p in payloads if p["type"] == "content_block_start"] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": "", "citations": []},
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
    ]
    assert [p["delta"]["type"] for p in payloads if p["type"] == "content_block_delta"] == [
        "thinking_delta",
        "signature_delta",
        "citations_delta",
        "text_delta",
        "input_json_delta",
    ]
    assert payloads[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert payloads[-2]["usage"] == message["usage"]
    assert payloads[-1] == {"type": "message_stop"}


def test_a_choice_without_a_message_is_only_finished() -> None:
    choice = {"index": 0, "finish_reason": "content_filter"}
    first, done = told(chat({}, choices=[choice]))
    assert first["choices"] == [{**choice, "delta": {}}]
    assert done == b"[DONE]"


@pytest.mark.parametrize("body", [b"{}", b"[]", b"x", b'{"choices":[1]}', b'{"choices":7}'])
@pytest.mark.parametrize("endpoint", ["chat", "completions", "messages"])
def test_what_is_no_answer_cannot_be_told(body: bytes, endpoint: Endpoint) -> None:
    with pytest.raises(ValueError, match=r"JSON|answer"):
        list(whole_to_blocks(body, endpoint, include_usage=True))


def test_an_answer_without_choices_is_told_too() -> None:
    first, done = whole_to_blocks(b'{"id":"x","choices":[]}', "chat", include_usage=False)
    assert first.startswith(b'data: {"id":"x"')
    assert done == DONE
