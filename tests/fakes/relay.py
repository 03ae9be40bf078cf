"""A relay with one scripted provider, in virtual time."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.core.capacity import Capacity, Concurrency
from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.chat import Endpoint, parse_request
from gateway.core.errors import (
    GatewayError,
)
from gateway.core.exchange import Caller, Exchange, Route
from gateway.core.health import Health
from gateway.core.notes import Notes, StreamEnded
from gateway.core.ports import Call, Tools
from gateway.core.reply import Answered, Block, Reply, Stream, Tally, Usage, Whole
from gateway.core.sse import DONE
from gateway.stages.modes import Mode
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime

ASK = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
"""5 input tokens by our estimate."""
MODELS = {
    "fast": Model(
        provider="acme",
        name="fast",
        price=Price(input=1, output=10),
        endpoints=("chat", "embeddings"),
    ),
    "slow": Model(provider="acme", name="slow"),
    "mute": Model(provider="acme", name="mute", capabilities=frozenset()),
    "lost": Model(provider="nowhere", name="lost"),
}
USAGE = Usage(input=100, output=7)
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello"},
            "finish_reason": "stop",
        }
    ],
}


def chunk(delta: dict[str, Any], finish: str | None = None) -> Block:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
    return Block(b"data: " + json.dumps(body).encode() + b"\n\n")


STREAM: list[Block] = [
    chunk({"role": "assistant", "content": "hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    DONE,
]
Step = Block | float | BaseException


class ScriptedBlocks:
    """Blocks, pauses in seconds of virtual time, and errors, in order."""

    def __init__(self, steps: Sequence[Step], clock: FakeClock, tally: Tally) -> None:
        self.steps = list(steps)
        self.clock = clock
        self.tally = tally
        self.closed = 0

    def __aiter__(self) -> "ScriptedBlocks":
        return self

    async def __anext__(self) -> Block:
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, float):
                self.clock.now += step
            elif isinstance(step, BaseException):
                raise step
            else:
                self.tally.blocks += 1
                self.tally.size += len(step)
                return step
        self.tally.clean = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedProvider:
    """Answers whole or as a stream, as it is asked, after two seconds of virtual time."""

    stands_in_for = frozenset({"response_format"})

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.calls: list[Call] = []
        self.steps: Sequence[Step] = STREAM
        self.body = json.dumps(WHOLE).encode()
        self.error: BaseException | None = None
        self.usage: Usage | None = USAGE
        self.blocks: ScriptedBlocks | None = None

    async def send(self, call: Call, /) -> Reply:
        self.calls.append(call)
        self.clock.now += 2
        if self.error is not None:
            raise self.error
        answered = Answered(provider="acme", model=call.target.model.name)
        if not call.request.stream:
            return Whole(self.body, call.request.dialect, self.usage, answered)
        tally = Tally(usage=self.usage)
        self.blocks = ScriptedBlocks(self.steps, self.clock, tally)
        return Stream(self.blocks, tally, call.request.dialect, answered)

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


async def nowhere(_exchange: Exchange) -> Reply:
    raise AssertionError("relay is the last stage")


class House:
    """A relay, its one provider, and the notes of the last exchange."""

    def __init__(self, mode: Mode = "direct", rule: Concurrency | None = None) -> None:
        self.clock = FakeClock()
        self.provider = ScriptedProvider(self.clock)
        catalogue = Catalogue(models=MODELS, aliases={"default": "fast"})
        runtime = self.runtime = make_runtime(self.clock)
        self.capacity = Capacity(self.clock, runtime.random, {"acme": rule or Concurrency()})
        self.stage = RelayPolicy(mode=mode).build(
            Tools(
                runtime=runtime,
                providers={"acme": self.provider},
                catalogue=catalogue,
                state=memory_state(self.clock),
                health=Health(runtime.random),
                capacity=self.capacity,
            )
        )
        self.notes = Notes()

    async def ask(
        self,
        fields: Mapping[str, Any] = ASK,
        endpoint: Endpoint = "chat",
        *,
        route: Route | None = None,
        **more: Any,
    ) -> Reply:
        request = parse_request(endpoint, json.dumps({**fields, **more}).encode())
        self.notes = Notes()
        exchange = Exchange(
            id="req-1",
            caller=Caller(),
            request=request,
            deadline=5_000.0,
            notes=self.notes,
            route=route,
            drop_params=True,
        )
        return await self.stage(exchange, nowhere)

    async def stream(self, **more: Any) -> Stream:
        reply = await self.ask(stream=True, **more)
        assert isinstance(reply, Stream)
        return reply

    async def whole(self, **more: Any) -> Whole:
        reply = await self.ask(**more)
        assert isinstance(reply, Whole)
        return reply

    async def failure(self, **more: Any) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await self.ask(**more)
        return caught.value

    @property
    def ended(self) -> StreamEnded:
        (note,) = self.notes.all(StreamEnded)
        return note


async def read(stream: Stream) -> bytes:
    return b"".join([block async for block in stream.blocks])
