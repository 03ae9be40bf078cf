"""The Anthropic provider before a scripted upstream, and calls to give it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.core.catalogue import Model, Target
from gateway.core.chat import Endpoint, parse_request
from gateway.core.ports import Call, Provider
from gateway.core.reply import Stream, Whole
from gateway.core.secret import Secret
from gateway.providers.anthropic import AnthropicConfig
from tests.fakes.anthropic_events import end, event, start, text
from tests.fakes.runtime import real_time_runtime
from tests.fakes.upstream import Answer, Received, ScriptedUpstream, open_upstream

KEY = "sk-ant-very-secret"
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
EVENTS = [start(), event("ping"), text(0, "Hel", "lo"), end()]
BODY: dict[str, Any] = {"model": "ours", "messages": [{"role": "user", "content": "hi"}]}
MODEL = Model(provider="a", name="ours", upstream="claude-1")
SAME = Model(provider="a", name="ours")


@asynccontextmanager
async def open_anthropic(
    script: Sequence[Answer], **facts: Any
) -> AsyncIterator[tuple[Provider, ScriptedUpstream]]:
    async with open_upstream(script) as upstream:
        facts = {"base_url": upstream.url, "api_key": Secret(KEY, "env:ANTHROPIC_API_KEY"), **facts}
        provider = AnthropicConfig(**facts).build("main", real_time_runtime())
        try:
            yield provider, upstream
        finally:
            await provider.aclose()


def call_of(
    endpoint: Endpoint = "messages",
    model: Model = MODEL,
    *,
    chosen: bool = False,
    betas: tuple[str, ...] = (),
    version: str = "",
    raw: bytes | None = None,
    **fields: Any,
) -> Call:
    body = raw or json.dumps({**BODY, **fields}).encode()
    return Call(
        id="req-1",
        request=parse_request(endpoint, body, betas=betas, version=version),
        target=Target(model=model, chosen=chosen),
        deadline=real_time_runtime().clock.monotonic() + 30,
    )


async def ask(script: Answer, call: Call, **facts: Any) -> tuple[Whole, Received]:
    async with open_anthropic([script], **facts) as (provider, upstream):
        reply = await provider.send(call)
        assert isinstance(reply, Whole)
        return reply, upstream.requests[0]


async def stream(script: Answer, call: Call) -> tuple[Stream, bytes, Received]:
    async with open_anthropic([script]) as (provider, upstream):
        reply = await provider.send(call)
        assert isinstance(reply, Stream)
        try:
            out = b"".join([block async for block in reply.blocks])
        finally:
            await reply.blocks.aclose()
        return reply, out, upstream.requests[0]
