"""The openai kind over real sockets: what goes up, what comes back, what is refused."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from gateway.core import wire
from gateway.core.catalogue import Model, Target
from gateway.core.chat import Endpoint, parse_request
from gateway.core.errors import (
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
)
from gateway.core.ports import Call
from gateway.core.reply import Reply, Stream, Usage, Whole
from gateway.core.secret import Secret
from gateway.core.sse import events
from gateway.providers.base import Warmup
from gateway.providers.openai import OpenAIConfig, OpenAIProvider
from tests.fakes.answers import chat_chunks, chat_whole
from tests.fakes.runtime import real_time_runtime
from tests.fakes.upstream import (
    STALL,
    Answer,
    ScriptedUpstream,
    json_reply,
    open_upstream,
    sse_reply,
)

ASK = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
KEY = "sk-the-very-secret-key"


class Door:
    def __init__(self, upstream: ScriptedUpstream, provider: OpenAIProvider) -> None:
        self.upstream = upstream
        self.provider = provider

    async def send(
        self,
        fields: Mapping[str, Any],
        endpoint: Endpoint = "chat",
        *,
        model: Model | None = None,
        chosen: bool = False,
        drop: bool = False,
        body: bytes = b"",
    ) -> Reply:
        request = parse_request(endpoint, body or json.dumps(fields).encode())
        model = model or Model(provider="p", name="fast")
        deadline = real_time_runtime().clock.monotonic() + 30
        return await self.provider.send(Call("r", request, Target(model, chosen), deadline, drop))

    async def whole(self, fields: Mapping[str, Any], **how: Any) -> Whole:
        reply = await self.send(fields, **how)
        assert isinstance(reply, Whole)
        return reply

    async def stream(self, fields: Mapping[str, Any], **how: Any) -> tuple[Stream, bytes]:
        reply = await self.send(fields, **how)
        assert isinstance(reply, Stream)
        return reply, b"".join([block async for block in reply.blocks])

    async def failure(self, fields: Mapping[str, Any], **how: Any) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            await self.send(fields, **how)
        return caught.value


@asynccontextmanager
async def door(*answers: Answer, **config: Any) -> AsyncIterator[Door]:
    async with open_upstream(answers) as upstream:
        config = {"api_key": Secret(KEY, "env:OPENAI_API_KEY"), **config}
        built = OpenAIConfig(base_url=upstream.url, **config).build("acme", real_time_runtime())
        assert isinstance(built, OpenAIProvider)
        try:
            yield Door(upstream, built)
        finally:
            await built.aclose()


async def test_a_whole_request_and_its_answer_pass_byte_for_byte() -> None:
    sent = (
        b'{ "messages" : [{"role":"user","content":"\\u00e9"}], "new_field": 1.50,"model":"fast"}'
    )
    used = b'{"prompt_tokens":3, "completion_tokens":0}'
    said = b'{"id":"c", "choices":[{"message":{"content":"ok"}}],"usage":%b }' % used
    async with door(json_reply(said, headers={"x-request-id": "req_1"})) as it:
        reply = await it.whole({}, body=sent)
        assert it.upstream.requests[0].body == sent
        assert it.upstream.requests[0].path == "/v1/chat/completions"
        assert it.upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert (reply.body, reply.dialect, reply.usage) == (said, "openai", Usage(input=3))
        answered = reply.answered
        assert (answered.provider, answered.model) == ("acme", "fast")
        assert (answered.request_id, answered.dropped) == ("req_1", ())


async def test_only_the_models_name_changes_when_the_upstream_has_another() -> None:
    sent = b'{"n":1.50,"model":"fast","messages":[{"role":"user","content":"x"}]}'
    async with door(chat_whole()) as it:
        await it.whole({}, body=sent, model=Model(provider="p", name="fast", upstream="gpt-x"))
        assert it.upstream.requests[0].body == sent.replace(b"fast", b"gpt-x")


@pytest.mark.parametrize("asked", [None, False, True])
async def test_usage_is_always_asked_for_and_shown_only_on_request(asked: bool | None) -> None:
    options = {} if asked is None else {"stream_options": {"include_usage": asked, "x": 1}}
    chunks = chat_chunks(usage=True)
    async with door(sse_reply(chunks)) as it:
        stream, got = await it.stream({**ASK, "stream": True, **options})
        sent = it.upstream.requests[0].json["stream_options"]
        assert sent == {"include_usage": True, **({} if asked is None else {"x": 1})}
        assert stream.tally.usage is not None
        assert (b'"prompt_tokens"' in got) is (asked is True)
        if asked:
            assert got == b"".join(chunks)
            assert (
                it.upstream.requests[0].body
                == json.dumps({**ASK, "stream": True, **options}).encode()
            )


async def test_embeddings_and_completions_go_to_their_own_paths() -> None:
    vectors = b'{"data":[{"embedding":[1]}],"usage":{"prompt_tokens":2,"total_tokens":2}}'
    text = b'{"choices":[{"text":"x"}]}'
    async with door(json_reply(vectors), json_reply(text)) as it:
        reply = await it.whole({"model": "fast", "input": "x"}, endpoint="embeddings")
        assert (reply.body, reply.usage) == (vectors, Usage(input=2))
        reply = await it.whole({"model": "fast", "prompt": "x"}, endpoint="completions")
        assert (reply.body, reply.usage) == (text, None)
        assert [r.path for r in it.upstream.requests] == ["/v1/embeddings", "/v1/completions"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", UpstreamBroken),
        (b'{"data":[]}', UpstreamBroken),
        (b'{"choices":[],"usage":{"prompt_tokens":3}}', UpstreamBroken),
        (b"[]", UpstreamBroken),
        (b"{", UpstreamBroken),
        (b'{"choices":[{"x":"\xff"}]}', UpstreamBroken),
        (b'{"error":{"code":429,"message":"m"}}', UpstreamBusy),
        (b'{"error":{"type":"invalid_request_error"},"choices":[]}', UpstreamRefused),
        (b'{"error":{"message":"what"}}', UpstreamBroken),
    ],
)
async def test_a_200_that_is_no_answer_is_an_error(body: bytes, kind: type[UpstreamError]) -> None:
    async with door(json_reply(body)) as it:
        error = await it.failure(ASK)
        assert type(error) is kind
        if kind is UpstreamBroken:
            assert error.code == "bad_upstream"


async def test_an_event_stream_for_a_whole_request_is_an_error() -> None:
    async with door(sse_reply([b"data: {}\n\n"])) as it:
        assert (await it.failure(ASK)).code == "bad_upstream"


async def test_errors_keep_the_providers_words_but_never_our_key() -> None:
    words = {"error": {"message": f"no {KEY} here", "type": "invalid_request_error"}}
    async with door(json_reply(words, status=400), json_reply(words), json_reply({}, 401)) as it:
        for _ in range(2):
            error = await it.failure(ASK)
            assert isinstance(error, UpstreamRefused)
            assert b"no *** here" in error.body
        assert isinstance(await it.failure(ASK), UpstreamDenied)


async def test_a_strange_request_id_is_not_passed_on() -> None:
    for request_id in ("x" * 129, "with blank", ""):
        answer = json_reply({"choices": [{}]}, headers={"x-request-id": request_id})
        async with door(answer) as it:
            assert (await it.whole(ASK)).answered.request_id == ""


@pytest.mark.parametrize(
    ("sampling", "dropped"),
    [("all", ()), ("one", ("top_p",)), ("none", ("temperature", "top_p"))],
)
@pytest.mark.parametrize("how", [{"chosen": True}, {"drop": True}, {}])
async def test_refused_sampling_is_dropped_only_with_leave(
    sampling: Any, dropped: tuple[str, ...], how: dict[str, bool]
) -> None:
    fields = {**ASK, "temperature": 0.5, "top_p": 0.9}
    async with door(chat_whole()) as it:
        reply = await it.whole(
            fields, model=Model(provider="p", name="fast", sampling=sampling), **how
        )
        expected = dropped if how else ()
        assert reply.answered.dropped == expected
        sent = it.upstream.requests[0].json
        assert sent == {name: value for name, value in fields.items() if name not in expected}


async def test_a_single_sampling_parameter_may_stay_where_one_is_taken() -> None:
    async with door(chat_whole()) as it:
        model = Model(provider="p", name="fast", sampling="one")
        reply = await it.whole({**ASK, "top_p": 0.9}, model=model, chosen=True)
        assert reply.answered.dropped == ()
        assert it.upstream.requests[0].json["top_p"] == 0.9


async def test_the_limit_takes_the_name_that_a_chosen_model_knows() -> None:
    model = Model(provider="p", name="fast", max_tokens_field="max_completion_tokens")
    limits: tuple[dict[str, int], ...] = (
        {"max_tokens": 7},
        {"max_tokens": 7, "max_completion_tokens": 8},
        {},
    )
    async with door(chat_whole()) as it:
        for limit in limits:
            await it.whole({**ASK, **limit}, model=model, chosen=True)
        await it.whole({**ASK, "max_tokens": 7}, model=model)
        sent = [request.json for request in it.upstream.requests]
        assert sent[0] == {**ASK, "max_completion_tokens": 7}
        assert sent[1] == {**ASK, **limits[1]}
        assert sent[2] == ASK
        assert sent[3] == {**ASK, "max_tokens": 7}


MESSAGE_ASK = {**ASK, "max_tokens": 50}


async def test_a_messages_request_is_translated_both_ways() -> None:
    async with door(chat_whole("Hello."), sse_reply(chat_chunks(["Hel", "lo."]))) as it:
        reply = await it.whole(MESSAGE_ASK, endpoint="messages")
        message = json.loads(reply.body)
        assert message["content"] == [{"type": "text", "text": "Hello."}]
        assert (message["model"], reply.dialect) == ("fast", "anthropic")
        assert reply.usage is not None
        stream, got = await it.stream({**MESSAGE_ASK, "stream": True}, endpoint="messages")
        assert stream.dialect == "anthropic"
        names = [event.name for event in events(got)]
        assert (names[0], names[-1]) == ("message_start", "message_stop")
        first, second = it.upstream.requests
        assert first.path == second.path == "/v1/chat/completions"
        assert second.json["stream_options"] == {"include_usage": True}


async def test_tokens_are_estimated_without_asking_anybody() -> None:
    fields = {
        "model": "fast",
        "system": [{"type": "text", "text": "é" * 8, "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "x" * 9},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "abcd"},
                    {"type": "image", "source": {"type": "base64", "data": "A" * 9000}},
                    {"type": "tool_result", "tool_use_id": "t", "content": None},
                ],
            },
        ],
    }
    async with door(chat_whole()) as it:
        reply = await it.whole(fields, endpoint="count_tokens")
        # 16 + 9 + 4 bytes of text and 1 of the tool's id, 4 a message, the most of a picture.
        assert json.loads(reply.body) == {"input_tokens": 8 + 2 * 4 + 1600}
        assert reply.answered.degraded == ("estimated-tokens",)
        assert reply.dialect == "anthropic"
        assert it.upstream.connections == 0


async def test_a_gone_caller_closes_the_upstream() -> None:
    chunks = chat_chunks()[:2]
    async with door(sse_reply([*chunks, STALL])) as it:
        reply = await it.send({**ASK, "stream": True})
        assert isinstance(reply, Stream)
        await reply.blocks.aclose()
        await it.upstream.until_closed()


async def test_warming_opens_connections_and_sends_the_prompt() -> None:
    warmup = Warmup(connections=2, prompt="wake up", model="gpt-x", timeout=5)
    async with door(sse_reply(chat_chunks()), warmup=warmup) as it:
        await it.provider.warm()
        assert it.upstream.requests[0].json == {
            "model": "gpt-x",
            "messages": [{"role": "user", "content": "wake up"}],
            "stream": True,
        }
        assert it.provider.transport.stats.idle == 2
    async with door(sse_reply(chat_chunks()), warmup=Warmup(prompt="no model given")) as it:
        await it.provider.warm()
        assert (it.upstream.requests, it.upstream.connections) == ([], 1)
    async with door(chat_whole()) as it:
        await it.provider.warm()
        assert it.upstream.connections == 0


async def test_azure_takes_its_key_in_another_header() -> None:
    async with door(chat_whole(), auth="api-key", headers={"x-extra": "1"}) as it:
        await it.whole(ASK)
        headers = it.upstream.requests[0].headers
        assert (headers["api-key"], headers["x-extra"]) == (KEY, "1")
        assert "authorization" not in headers


async def test_without_a_key_none_is_sent() -> None:
    async with door(chat_whole(), api_key=None) as it:
        await it.whole(ASK)
        assert not {"authorization", "api-key"} & set(it.upstream.requests[0].headers)


def test_a_missing_key_is_told_with_the_name_to_set() -> None:
    missing = OpenAIConfig(api_key=Secret(None, "env:OPENAI_API_KEY"))
    assert missing.unusable() == "set OPENAI_API_KEY"
    assert OpenAIConfig(api_key=Secret("k", "env:OPENAI_API_KEY")).unusable() == ""
    assert OpenAIConfig().unusable() == ""


@pytest.mark.parametrize("url", ["ftp://x", "https://", "http://u:p@host/v1", "https://h/v1?a=1"])
def test_a_base_url_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "openai", "base_url": url}, OpenAIConfig)
    assert wire.json_schema(Warmup)
