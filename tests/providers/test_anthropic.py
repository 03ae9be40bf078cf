"""The provider that speaks Anthropic's API, over real sockets."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.core.catalogue import Model
from gateway.core.chat import Endpoint
from gateway.core.errors import BadRequest, CapabilityMissing
from gateway.core.reply import Stream, Usage
from gateway.core.secret import Secret
from gateway.providers.anthropic import AnthropicConfig
from gateway.providers.base import Warmup
from tests.fakes.anthropic_events import Collected, start, text
from tests.fakes.anthropic_provider import (
    EVENTS,
    KEY,
    MESSAGE,
    MODEL,
    SAME,
    ask,
    call_of,
    open_anthropic,
    stream,
)
from tests.fakes.upstream import STALL, json_reply, sse_reply


async def test_a_messages_request_passes_byte_for_byte() -> None:
    raw = b'{ "model":"ours",  "messages":[{"role":"user","content":"h\\u0069"}], "odd": 1.0 }'
    answer = json.dumps(MESSAGE, indent=3).encode()
    reply, seen = await ask(json_reply(answer), call_of(model=SAME, raw=raw))
    assert seen.body == raw
    assert (seen.method, seen.path) == ("POST", "/v1/messages")
    assert reply.body == answer
    assert reply.dialect == "anthropic"
    assert reply.usage == Usage(input=3, output=2)


async def test_only_the_models_name_is_changed() -> None:
    raw = b'{"model":"ours","messages":[{"role":"user","content":"h\\u0069"}]}'
    _, seen = await ask(json_reply(MESSAGE), call_of(raw=raw))
    assert seen.body == raw.replace(b"ours", b"claude-1")


async def test_the_answer_says_who_gave_it() -> None:
    answer = json_reply(MESSAGE, headers={"request-id": "req_upstream"})
    reply, _ = await ask(answer, call_of())
    assert reply.answered.provider == "main"
    assert reply.answered.model == "ours"
    assert reply.answered.request_id == "req_upstream"


async def test_a_message_stream_passes_byte_for_byte() -> None:
    reply, out, seen = await stream(sse_reply(EVENTS), call_of(stream=True))
    assert out == b"".join(EVENTS)
    assert reply.dialect == "anthropic"
    assert reply.tally.clean
    assert reply.tally.finish == "end_turn"
    assert reply.tally.usage == Usage(input=10, output=5)
    assert seen.json["stream"] is True


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [("x-api-key", "x-api-key", KEY), ("bearer", "authorization", f"Bearer {KEY}")],
)
async def test_the_key_goes_where_the_upstream_wants_it(auth: str, header: str, value: str) -> None:
    _, seen = await ask(json_reply(MESSAGE), call_of(), auth=auth)
    assert seen.headers[header] == value
    assert {"x-api-key", "authorization"} - {header} - set(seen.headers)


async def test_without_a_key_none_is_sent() -> None:
    _, seen = await ask(json_reply(MESSAGE), call_of(), api_key=None)
    assert not {"x-api-key", "authorization"} & set(seen.headers)


@pytest.mark.parametrize(
    ("version", "fields", "sent"),
    [
        ("2026-10-21", {}, "2026-10-21"),
        ("2026-10-21", {"temperature": 0.5}, "2026-10-21"),
        ("", {}, "2030-01-01"),
        ("latest", {}, "2030-01-01"),
        ("2030-01-01\n", {}, "2030-01-01"),
        ("", {"temperature": 0.5}, "2023-06-01"),
    ],
)
async def test_the_version_is_the_callers_or_ours_and_lets_sampling_through(
    version: str, fields: dict[str, Any], sent: str
) -> None:
    call = call_of(version=version, **fields)
    _, seen = await ask(json_reply(MESSAGE), call, version="2030-01-01")
    assert seen.headers["anthropic-version"] == sent


async def test_betas_are_passed_on_and_checked() -> None:
    betas = ("files-api-2025-04-14", "context-1m-2025-08-07")
    _, seen = await ask(json_reply(MESSAGE), call_of(betas=betas))
    assert seen.headers["anthropic-beta"] == ",".join(betas)
    async with open_anthropic([json_reply(MESSAGE)]) as (provider, upstream):
        with pytest.raises(BadRequest) as caught:
            await provider.send(call_of(betas=("a b",)))
        assert upstream.requests == []
    assert caught.value.param == "anthropic-beta"


@pytest.mark.parametrize(
    ("sampling", "dropped"), [("none", ("temperature", "top_p")), ("one", ("top_p",)), ("all", ())]
)
async def test_a_chosen_model_loses_the_sampling_it_refuses(
    sampling: Any, dropped: tuple[str, ...]
) -> None:
    model = Model(provider="a", name="ours", sampling=sampling)
    call = call_of(model=model, chosen=True, temperature=0.5, top_p=0.9)
    reply, seen = await ask(json_reply(MESSAGE), call)
    assert reply.answered.dropped == dropped
    assert not set(dropped) & set(seen.json)


async def test_a_model_that_takes_one_of_both_keeps_a_single_one() -> None:
    model = Model(provider="a", name="ours", sampling="one")
    reply, seen = await ask(json_reply(MESSAGE), call_of(model=model, chosen=True, top_p=0.9))
    assert seen.json["top_p"] == 0.9
    assert reply.answered.dropped == ()


async def test_the_callers_own_choice_of_model_is_left_alone() -> None:
    model = Model(provider="a", name="ours", sampling="none")
    reply, seen = await ask(json_reply(MESSAGE), call_of(model=model, temperature=0.5))
    assert seen.json["temperature"] == 0.5
    assert reply.answered.dropped == ()


async def test_tokens_are_counted_by_the_upstream() -> None:
    reply, seen = await ask(json_reply({"input_tokens": 9}), call_of("count_tokens"))
    assert seen.path == "/v1/messages/count_tokens"
    assert json.loads(reply.body) == {"input_tokens": 9}
    assert reply.dialect == "anthropic"
    assert reply.usage is None


async def test_a_chat_request_is_translated_there_and_back() -> None:
    call = call_of("chat", model=MODEL, temperature=1.5, user="u-1")
    reply, seen = await ask(json_reply(MESSAGE), call)
    assert seen.path == "/v1/messages"
    assert seen.json["model"] == "claude-1"
    assert seen.json["metadata"] == {"user_id": "u-1"}
    assert seen.headers["anthropic-version"] == "2023-06-01"
    completion = json.loads(reply.body)
    assert completion["choices"][0]["message"]["content"] == "hello"
    assert completion["model"] == "ours"
    assert completion["created"] > 1_700_000_000
    assert reply.dialect == "openai"
    assert reply.usage == Usage(input=3, output=2)
    assert reply.answered.dropped == ("temperature (clamped to 1)",)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_chat_stream_is_translated(asked: bool) -> None:
    call = call_of("chat", stream=True, stream_options={"include_usage": asked})
    reply, out, _ = await stream(sse_reply(EVENTS), call)
    got = Collected(out)
    assert got.joined("content") == "Hello"
    assert (got.finish, got.done) == ("stop", True)
    assert ("usage" in got.raw[-1]) is asked
    assert reply.dialect == "openai"
    assert reply.tally.clean
    assert reply.tally.usage == Usage(input=10, output=5)


async def test_an_answer_through_a_forced_tool_is_unwrapped() -> None:
    use = {"type": "tool_use", "id": "a", "name": "json_output", "input": {"x": 1}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    answer = json_reply({**MESSAGE, "content": [use], "stop_reason": "tool_use"})
    reply, _ = await ask(answer, call_of("chat", response_format=wanted))
    choice = json.loads(reply.body)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"x":1}', "stop")


@pytest.mark.parametrize("endpoint", ["completions", "embeddings"])
async def test_other_endpoints_are_a_missing_capability(endpoint: Endpoint) -> None:
    async with open_anthropic([json_reply(MESSAGE)]) as (provider, upstream):
        with pytest.raises(CapabilityMissing):
            await provider.send(call_of(endpoint, prompt="x", input="x"))
        assert upstream.requests == []


async def test_an_answer_without_usage_has_none() -> None:
    reply, _ = await ask(json_reply({**MESSAGE, "usage": None}), call_of())
    assert reply.usage is None


async def test_closing_a_stream_closes_the_upstream() -> None:
    async with open_anthropic([sse_reply([start() + text(0, "x"), STALL])]) as (provider, upstream):
        reply = await provider.send(call_of("chat", stream=True))
        assert isinstance(reply, Stream)
        await reply.blocks.aclose()
        await upstream.until_closed()


async def test_warming_opens_connections_and_asks_once() -> None:
    warmup = Warmup(connections=2, prompt="hi", model="claude-1", timeout=5)
    async with open_anthropic([sse_reply(EVENTS)], warmup=warmup) as (provider, upstream):
        await provider.warm()
        (seen,) = upstream.requests
        assert seen.json["model"] == "claude-1"
        assert seen.json["messages"][0]["content"] == "hi"
        assert upstream.connections >= 2


async def test_without_a_warm_up_nothing_is_opened() -> None:
    async with open_anthropic([json_reply(MESSAGE)]) as (provider, upstream):
        await provider.warm()
        assert upstream.connections == 0
    async with open_anthropic([json_reply(MESSAGE)], warmup=Warmup()) as (provider, upstream):
        await provider.warm()
        assert upstream.requests == []
        assert upstream.connections == 1


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ""),
        ({"api_key": Secret("k", "env:A_KEY")}, ""),
        ({"api_key": Secret("", "env:A_KEY")}, "set A_KEY"),
        ({"api_key": Secret("", "file:/a", "is empty")}, "mend file:/a, which is empty"),
    ],
)
def test_a_missing_key_names_its_variable(facts: Mapping[str, Any], reason: str) -> None:
    assert AnthropicConfig(**facts).unusable() == reason
