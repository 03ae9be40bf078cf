"""Requests to a simulated provider, and its answers taken apart."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.core import wire
from gateway.core.catalogue import Model, Target
from gateway.core.chat import Endpoint, parse_request
from gateway.core.ports import Call
from gateway.core.reply import Reply, Stream, Whole
from gateway.core.sse import events
from gateway.providers.simulated.provider import Simulated, SimulatedConfig
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime

MODEL = Model(provider="sim", name="simulated/demo", upstream="demo-1")


TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}


OPENAI_TOOLS = [{"type": "function", "function": {"name": n, "parameters": TOOL}} for n in "ab"]


ANTHROPIC_TOOLS = [{"name": name, "input_schema": TOOL} for name in "ab"]


def make(clock: FakeClock | None = None, **config: Any) -> Simulated:
    provider = SimulatedConfig(**config).build("sim", make_runtime(clock or FakeClock()))
    assert isinstance(provider, Simulated)
    return provider


def ask(
    content: Any = "Why is the sky blue?",
    endpoint: Endpoint = "chat",
    *,
    deadline: float = 1e9,
    model: Model = MODEL,
    **fields: Any,
) -> Call:
    body: dict[str, Any] = {"model": "simulated/demo"}
    if endpoint == "completions":
        body["prompt"] = content
    elif endpoint == "embeddings":
        body["input"] = content
    else:
        body["messages"] = [{"role": "user", "content": content}]
    if endpoint == "messages":
        body["max_tokens"] = 1000
    request = parse_request(endpoint, wire.encode(body | fields))
    return Call("req-1", request, Target(model), deadline)


async def whole(call: Call, provider: Simulated | None = None) -> Any:
    reply = await (provider or make()).send(call)
    assert isinstance(reply, Whole)
    assert reply.dialect == call.request.dialect
    return wire.decode(reply.body)


async def stream(call: Call, provider: Simulated | None = None) -> tuple[list[Any], Stream]:
    reply = await (provider or make()).send(call)
    assert isinstance(reply, Stream)
    assert reply.dialect == call.request.dialect
    read = [event async for block in reply.blocks for event in events(block)]
    if call.request.dialect == "openai":
        assert read.pop().data == b"[DONE]"
    return [wire.decode(event.data) for event in read], reply


def text_of(chat: Any) -> str:
    return str(chat["choices"][0]["message"]["content"])


async def soon(clock: FakeClock, work: Coroutine[Any, Any, Reply], seconds: float) -> Reply:
    task = asyncio.ensure_future(work)
    await clock.advance(seconds)
    return await task


async def read_all(reply: Stream) -> int:
    return len([block async for block in reply.blocks])
