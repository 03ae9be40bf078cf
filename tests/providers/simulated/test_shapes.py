"""Simulated answers have the shapes of the real ones: the official SDKs' types read them."""

import base64
import math
import struct
from typing import Any

import pytest
from anthropic.types import Message
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.core import wire
from tests.fakes.simulated import ANTHROPIC_TOOLS, OPENAI_TOOLS, ask, stream, text_of, whole


async def test_a_whole_chat_has_openais_shape() -> None:
    chat = ChatCompletion.model_validate(await whole(ask()), strict=True)
    assert chat.model == "demo-1"
    assert chat.choices[0].finish_reason == "stop"
    assert chat.usage is not None
    assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens


@pytest.mark.parametrize("usage", [True, False])
async def test_a_chat_stream_says_what_the_whole_answer_says(usage: bool) -> None:
    options = {"include_usage": True} if usage else None
    chunks, reply = await stream(ask(stream=True, stream_options=options))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        assert ("usage" in chunk) is usage
    if usage:
        assert chunks.pop()["usage"]["completion_tokens"] == len(chunks) - 2
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == text_of(await whole(ask()))
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert reply.tally.clean
    assert reply.tally.finish == "stop"
    assert reply.tally.usage is not None
    assert reply.tally.blocks == len(chunks) - 1


async def test_legacy_completions_are_answered_whole_and_streamed() -> None:
    done = await whole(ask(["Once upon"], "completions"))
    Completion.model_validate(done, strict=True)
    chunks, reply = await stream(
        ask("Once upon", "completions", stream=True, stream_options={"include_usage": True})
    )
    assert chunks.pop()["usage"] == done["usage"]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == done["choices"][0]["text"]
    assert reply.tally.clean


async def test_a_message_has_anthropics_shape_whole_and_streamed() -> None:
    message = await whole(ask(endpoint="messages", system="Be brief."))
    Message.model_validate(message, strict=True)
    assert message["stop_reason"] == "end_turn"
    parts, reply = await stream(ask(endpoint="messages", system="Be brief.", stream=True))
    kinds = [part["type"] for part in parts]
    assert kinds[:3] == ["message_start", "content_block_start", "content_block_delta"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    text = "".join(p["delta"]["text"] for p in parts if p["type"] == "content_block_delta")
    assert text == message["content"][0]["text"]
    assert parts[-2]["usage"]["output_tokens"] == message["usage"]["output_tokens"]
    assert parts[0]["message"]["usage"]["input_tokens"] == message["usage"]["input_tokens"]
    assert (reply.tally.finish, reply.tally.clean) == ("end_turn", True)


@pytest.mark.parametrize(
    ("choice", "name"), [("required", "a"), ({"type": "function", "function": {"name": "b"}}, "b")]
)
async def test_a_demanded_tool_is_called_with_valid_arguments(choice: Any, name: str) -> None:
    fields = {"tools": OPENAI_TOOLS, "tool_choice": choice}
    answer = (await whole(ask(**fields)))["choices"][0]
    call = answer["message"]["tool_calls"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    assert call["function"]["name"] == name
    assert set(wire.decode(call["function"]["arguments"])) == {"city", "days"}
    chunks, reply = await stream(ask(stream=True, **fields))
    deltas = [c["choices"][0]["delta"]["tool_calls"][0] for c in chunks[:-1]]
    assert (deltas[0]["id"], deltas[0]["function"]["name"]) == (call["id"], name)
    joined = "".join(delta["function"]["arguments"] for delta in deltas)
    assert joined == call["function"]["arguments"]
    assert reply.tally.finish == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "name"), [({"type": "any"}, "a"), ({"type": "tool", "name": "b"}, "b")]
)
async def test_a_demanded_tool_is_used_in_anthropics_shape(choice: Any, name: str) -> None:
    fields = {"tools": ANTHROPIC_TOOLS, "tool_choice": choice}
    message = await whole(ask(endpoint="messages", **fields))
    Message.model_validate(message, strict=True)
    use = message["content"][0]
    assert (use["type"], use["name"], message["stop_reason"]) == ("tool_use", name, "tool_use")
    assert set(use["input"]) == {"city", "days"}
    parts, _ = await stream(ask(endpoint="messages", stream=True, **fields))
    joined = "".join(
        p["delta"]["partial_json"] for p in parts if p["type"] == "content_block_delta"
    )
    assert wire.decode(joined) == use["input"]
    assert parts[1]["content_block"] == {**use, "input": {}}


async def test_embeddings_are_unit_vectors_that_depend_on_the_text() -> None:
    answer = await whole(ask(["a", "b", "a"], "embeddings", dimensions=64))
    CreateEmbeddingResponse.model_validate(answer, strict=True)
    a, b, again = (item["embedding"] for item in answer["data"])
    assert a == again
    assert a != b
    assert len(a) == 64
    assert math.hypot(*a) == pytest.approx(1)
    packed = await whole(ask("a", "embeddings", dimensions=64, encoding_format="base64"))
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack("<64f", raw) == pytest.approx(a, abs=1e-6)


async def test_embeddings_take_token_numbers_too() -> None:
    one = await whole(ask([1, 2, 3], "embeddings"))
    two = await whole(ask([[1, 2, 3], [4]], "embeddings"))
    assert len(one["data"]) == 1
    assert len(two["data"]) == 2
    assert one["data"][0]["embedding"] == two["data"][0]["embedding"]


async def test_counting_agrees_with_what_a_message_is_charged() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}
    content = [{"type": "text", "text": "Look at this."}, picture]
    counted = await whole(ask(content, "count_tokens", tools=ANTHROPIC_TOOLS))
    message = await whole(ask(content, "messages", tools=ANTHROPIC_TOOLS))
    assert counted == {"input_tokens": message["usage"]["input_tokens"]}
    assert counted["input_tokens"] > 85
