"""What HTTP providers share: who answered, without our secrets, and a warm-up paid once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.catalogue import Model, Target
from gateway.core.chat import Dialect, parse_request
from gateway.core.errors import UpstreamRefused
from gateway.core.meter import AnthropicMeter, OpenAIMeter
from gateway.core.ports import Call
from gateway.providers.base import Warmup
from gateway.providers.transport.client import Transport
from gateway.providers.upstream import Upstream
from tests.fakes import answers
from tests.fakes.runtime import real_time_runtime
from tests.fakes.upstream import Answer, ScriptedUpstream, json_reply, open_upstream, sse_reply

KEY = "a-key-of-ours-1234"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


@asynccontextmanager
async def open_line(
    answer: Answer, dialect: Dialect = "openai"
) -> AsyncIterator[tuple[Upstream, ScriptedUpstream]]:
    runtime = real_time_runtime()
    async with open_upstream([answer]) as server:
        transport = Transport(server.url, {"authorization": f"Bearer {KEY}"}, runtime)
        upstream = Upstream("acme", transport, runtime, dialect=dialect, first_byte=5)
        try:
            yield upstream, server
        finally:
            await upstream.aclose()


async def answered_id(dialect: Dialect, header: str, value: str) -> str:
    request = parse_request("chat", BODY)
    async with open_line(json_reply({}, headers={header: value}), dialect) as (upstream, _):
        deadline = upstream.runtime.clock.monotonic() + 5
        response = await upstream.ask(request, "/chat", deadline)
        target = Target(Model(provider="acme", name="m"))
        call = Call(id="req-1", request=request, target=target, deadline=deadline)
        answered = upstream.answered(call, response, ("seed",))
        await response.read()
    assert (answered.provider, answered.model, answered.dropped) == ("acme", "m", ("seed",))
    return answered.request_id


async def test_the_providers_own_id_is_kept_under_its_dialects_name() -> None:
    assert await answered_id("openai", "x-request-id", "req_1") == "req_1"
    assert await answered_id("anthropic", "request-id", "req_2") == "req_2"
    assert await answered_id("anthropic", "x-request-id", "req_3") == ""


async def test_an_id_that_is_more_than_an_id_is_left_out_or_masked() -> None:
    assert await answered_id("openai", "x-request-id", "two words") == ""
    assert await answered_id("openai", "x-request-id", "x" * 129) == ""
    assert KEY not in await answered_id("openai", "x-request-id", f"id-{KEY}")


async def test_an_error_is_shown_without_our_key() -> None:
    async with open_line(json_reply({})) as (upstream, _):
        error = UpstreamRefused("No.", status=400, body=f'{{"error": "{KEY}"}}'.encode())
        upstream.mask(error)
    assert error.body == b'{"error": "***"}'


async def test_warming_without_a_prompt_only_opens_connections() -> None:
    async with open_line(json_reply({})) as (upstream, server):
        meter = OpenAIMeter(hide_usage=False)
        await upstream.warm(None, "chat", "/chat", meter)
        assert server.connections == 0
        await upstream.warm(Warmup(connections=2), "chat", "/chat", meter)
        assert (server.connections, server.requests) == (2, [])


async def test_a_warmup_prompt_has_the_limit_that_anthropic_requires() -> None:
    warmup = Warmup(prompt="hi", model="claude")
    async with open_line(sse_reply(answers.message_events()), "anthropic") as (upstream, server):
        await upstream.warm(warmup, "messages", "/messages", AnthropicMeter())
        assert server.requests[0].json["max_tokens"] == 16
    async with open_line(sse_reply(answers.chat_chunks())) as (upstream, server):
        await upstream.warm(warmup, "chat", "/chat", OpenAIMeter(hide_usage=False))
        assert "max_tokens" not in server.requests[0].json
