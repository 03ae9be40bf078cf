"""What the Anthropic provider makes of upstreams that refuse, fail or break off."""

import json
from typing import Any

import pytest

from gateway.core.chat import Endpoint
from gateway.core.errors import (
    StreamCut,
    UpstreamAnswered,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamRefused,
)
from gateway.core.reply import Stream
from tests.fakes.anthropic_events import event, start, text
from tests.fakes.anthropic_provider import KEY, call_of, open_anthropic
from tests.fakes.upstream import CUT, json_reply, sse_reply


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, UpstreamRefused), (401, UpstreamDenied), (429, UpstreamBusy), (529, UpstreamBusy)],
)
@pytest.mark.parametrize("endpoint", ["messages", "chat", "count_tokens"])
async def test_an_upstreams_error_keeps_its_meaning(
    endpoint: Endpoint, status: int, error: type[Exception]
) -> None:
    body = {"type": "error", "error": {"type": "some_error", "message": "no"}}
    async with open_anthropic([json_reply(body, status=status)]) as (provider, _):
        with pytest.raises(error) as caught:
            await provider.send(call_of(endpoint))
    if isinstance(caught.value, UpstreamRefused | UpstreamBusy):
        assert caught.value.dialect == "anthropic"
        assert json.loads(caught.value.body) == body


@pytest.mark.parametrize("status", [400, 429, 200])
async def test_an_upstreams_error_never_shows_our_key(status: int) -> None:
    error = {"type": "rate_limit_error", "message": f"bad key {KEY}"}
    answer = json_reply({"type": "error", "error": error}, status=status)
    async with open_anthropic([answer]) as (provider, _):
        with pytest.raises(UpstreamAnswered) as caught:
            await provider.send(call_of())
    assert caught.value.body.count(b"bad key") == 1
    assert KEY not in caught.value.body.decode() + caught.value.public


@pytest.mark.parametrize("endpoint", ["messages", "count_tokens", "chat"])
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"content":5,"input_tokens":"x"}', b'"\xff']
)
async def test_an_answer_that_is_none_is_a_broken_upstream(endpoint: Endpoint, body: bytes) -> None:
    async with open_anthropic([json_reply(body)]) as (provider, _):
        with pytest.raises(UpstreamBroken) as caught:
            await provider.send(call_of(endpoint))
    assert caught.value.code == "bad_upstream"


@pytest.mark.parametrize("endpoint", ["messages", "chat"])
async def test_an_error_with_status_200_is_an_error(endpoint: Endpoint) -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    async with open_anthropic([json_reply(body)]) as (provider, _):
        with pytest.raises(UpstreamBusy):
            await provider.send(call_of(endpoint))


@pytest.mark.parametrize("endpoint", ["messages", "chat"])
async def test_an_error_before_any_content_is_raised_by_send(endpoint: Endpoint) -> None:
    error = event("error", error={"type": "overloaded_error", "message": "busy"})
    async with open_anthropic([sse_reply([start(), error])]) as (provider, _):
        with pytest.raises(UpstreamBusy):
            await provider.send(call_of(endpoint, stream=True))


@pytest.mark.parametrize("endpoint", ["messages", "chat"])
@pytest.mark.parametrize("ending", [[], [CUT]])
async def test_a_stream_that_breaks_off_is_a_cut_after_its_content(
    endpoint: Endpoint, ending: list[Any]
) -> None:
    async with open_anthropic([sse_reply([start() + text(0, "x"), *ending])]) as (provider, _):
        reply = await provider.send(call_of(endpoint, stream=True))
        assert isinstance(reply, Stream)
        assert (await anext(reply.blocks)).count(b"x")
        with pytest.raises(StreamCut):
            await anext(reply.blocks)
        await reply.blocks.aclose()
    assert not reply.tally.clean
