"""The last stage: who is asked, in what form, and what is written down about it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from gateway.core.catalogue import Catalogue, Model, Price, Target
from gateway.core.chat import Endpoint, parse_request
from gateway.core.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    StreamCut,
    UnknownModel,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamTimeout,
)
from gateway.core.exchange import Caller, Exchange, Route
from gateway.core.notes import Attempted, Notes, Routed, StreamEnded, Used
from gateway.core.ports import Call, Tools
from gateway.core.reply import Answered, Block, Reply, Stream, Tally, Usage, Whole
from gateway.core.sse import DONE
from gateway.stages import AnyStage
from gateway.stages.relay import Mode, RelayPolicy
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime

ASK = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
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

    def __init__(self, mode: Mode = "direct") -> None:
        self.clock = FakeClock()
        self.provider = ScriptedProvider(self.clock)
        catalogue = Catalogue(models=MODELS, aliases={"default": "fast"})
        runtime = make_runtime(self.clock)
        self.stage = RelayPolicy(mode=mode).build(
            Tools(runtime=runtime, providers={"acme": self.provider}, catalogue=catalogue)
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


# --- where it goes ------------------------------------------------------------------------------


async def test_a_named_model_goes_to_its_provider_untouched() -> None:
    house = House()
    reply = await house.whole()
    assert reply.body == house.provider.body
    (call,) = house.provider.calls
    assert (call.id, call.deadline, call.drop_params) == ("req-1", 5_000.0, True)
    assert call.target == Target(MODELS["fast"], chosen=False)
    assert call.request.body == json.dumps(ASK).encode()
    assert house.notes.all(Routed) == [Routed("fast", "acme", "named")]


async def test_an_alias_is_the_gateways_choice() -> None:
    house = House()
    await house.ask(model="default")
    assert house.provider.calls[0].target.chosen
    assert house.notes.all(Routed) == [Routed("fast", "acme", "alias")]


async def test_a_route_is_followed_to_its_first_target() -> None:
    house = House()
    await house.ask(route=Route((Target(MODELS["slow"], chosen=True), Target(MODELS["fast"]))))
    assert house.provider.calls[0].target.model.name == "slow"
    assert house.notes.all(Routed) == []


async def test_what_is_not_served_is_refused_before_any_attempt() -> None:
    house = House()
    assert isinstance(await house.failure(model="unheard-of"), UnknownModel)
    assert isinstance(await house.failure(model="lost"), UnknownModel)
    error = await house.failure(endpoint="completions", prompt="x")
    assert isinstance(error, BadRequest)
    assert error.public == "This model does not serve completions; it serves chat, embeddings."
    error = await house.failure(endpoint="embeddings", input="x", stream=True)
    assert (type(error), error.param) == (BadRequest, "stream")
    assert house.provider.calls == []
    assert house.notes.all(Attempted) == []


async def test_messages_are_served_by_every_chat_model() -> None:
    house = House()
    await house.ask(endpoint="messages", max_tokens=5, model="slow")
    await house.ask(endpoint="count_tokens", model="slow")
    assert [call.request.endpoint for call in house.provider.calls] == ["messages", "count_tokens"]


# --- what is written down -----------------------------------------------------------------------


async def test_a_whole_answer_is_noted_with_its_cost() -> None:
    house = House()
    await house.whole()
    assert house.notes.all(Attempted) == [Attempted("acme", "fast", 1_000.0, 1_002.0)]
    assert house.notes.all(Used) == [Used("fast", USAGE, 170)]
    assert house.notes.all(StreamEnded) == []


async def test_an_unknown_price_is_not_free_and_unknown_usage_is_not_noted() -> None:
    house = House()
    await house.ask(model="slow")
    assert house.notes.all(Used) == [Used("slow", USAGE, None)]
    house.provider.usage = None
    await house.ask(model="slow")
    assert house.notes.all(Used) == []


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (UpstreamBusy("later", status=429), "upstream_busy", 429),
        (UpstreamTimeout("late"), "upstream_timeout", 504),
        (BadRequest("no", param="n"), "invalid_request", 400),
        (asyncio.CancelledError(), "cancelled", 0),
        (ValueError("a bug"), "internal_error", 500),
    ],
)
async def test_a_failed_attempt_is_noted_and_raised(
    error: BaseException, code: str, status: int
) -> None:
    house = House()
    house.provider.error = error
    with pytest.raises(type(error)):
        await house.ask()
    assert house.notes.all(Attempted) == [
        Attempted("acme", "fast", 1_000.0, 1_002.0, code=code, status=status)
    ]


async def test_a_stream_passes_untouched_and_its_end_is_noted() -> None:
    house = House()
    house.provider.steps = [STREAM[0], 3.0, STREAM[1], 1.0, *STREAM[2:]]
    stream = await house.stream()
    assert house.notes.all(Attempted) == [Attempted("acme", "fast", 1_000.0, 1_002.0)]
    assert (house.notes.all(Used), house.notes.all(StreamEnded)) == ([], [])
    got = await read(stream)
    assert got == b"".join(STREAM)
    assert house.ended == StreamEnded("done", 4, len(got), 3.0, 4.0)
    assert house.notes.all(Used) == [Used("fast", USAGE, 170)]
    await stream.blocks.aclose()
    assert house.ended.reason == "done"


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (StreamCut("cut"), "upstream_cut", "upstream_truncated"),
        (UpstreamTimeout("silent", code="upstream_idle"), "upstream_cut", "upstream_idle"),
        (InternalError("ours"), "error", "internal_error"),
        (RuntimeError("a bug"), "error", "internal_error"),
        (asyncio.CancelledError(), "client_gone", ""),
    ],
)
async def test_a_broken_stream_says_why_and_is_still_paid_for(
    error: BaseException, reason: str, code: str
) -> None:
    house = House()
    house.provider.steps = [STREAM[0], error]
    stream = await house.stream()
    with pytest.raises(type(error)):
        await read(stream)
    await stream.blocks.aclose()
    assert (house.ended.reason, house.ended.code, house.ended.blocks) == (reason, code, 1)
    assert len(house.notes.all(Used)) == 1


async def test_a_closed_stream_means_that_the_client_left() -> None:
    house = House()
    stream = await house.stream()
    await stream.blocks.__anext__()
    await stream.blocks.aclose()
    assert house.ended.reason == "client_gone"
    assert house.provider.blocks is not None
    assert house.provider.blocks.closed == 1


async def test_closing_after_the_terminal_event_is_a_proper_end() -> None:
    house = House()
    stream = await house.stream()
    await stream.blocks.__anext__()
    stream.tally.clean = True
    await stream.blocks.aclose()
    assert house.ended.reason == "done"


# --- modes --------------------------------------------------------------------------------------


async def test_buffered_streams_from_upstream_and_answers_whole() -> None:
    house = House("buffered")
    house.provider.steps = [STREAM[0], 3.0, *STREAM[1:]]
    reply = await house.whole()
    sent = house.provider.calls[0].request
    assert sent.stream
    assert sent.fields["stream_options"] == {"include_usage": True}
    assert json.loads(reply.body) == WHOLE
    assert (reply.usage, reply.answered.model) == (USAGE, "fast")
    assert house.notes.all(Attempted)[0].ended == 1_002.0
    assert (house.ended.reason, house.ended.longest_gap) == ("done", 3.0)
    assert len(house.notes.all(Used)) == 1
    assert house.provider.blocks is not None
    assert house.provider.blocks.closed == 1


async def test_buffered_leaves_streams_and_other_endpoints_alone() -> None:
    house = House("buffered")
    await house.stream()
    await house.ask(endpoint="embeddings", input="x")
    await house.ask(model="mute")
    await house.ask(endpoint="messages", model="slow", max_tokens=5, stream=True)
    assert [c.request.stream for c in house.provider.calls] == [True, False, False, True]


async def test_a_buffered_stream_that_breaks_may_be_tried_elsewhere() -> None:
    house = House("buffered")
    house.provider.steps = [STREAM[0], StreamCut("cut", code="upstream_garbage")]
    error = await house.failure()
    assert (type(error), error.code) == (UpstreamBroken, "upstream_garbage")
    assert (house.ended.reason, house.ended.code) == ("upstream_cut", "upstream_garbage")
    house.provider.steps = [Block(b"data: [1]\n\n")]
    assert (await house.failure()).code == "bad_upstream"
    house.provider.steps = [Block(b": " + b"x" * (1 << 20) + b"\n\n")] * 65
    assert (await house.failure()).code == "bad_upstream"
    assert (house.ended.reason, house.ended.code) == ("upstream_cut", "bad_upstream")
    house.provider.steps = [
        Block(b'data: {"type":"content_block_start","index":0,"content_block":{}}\n\n'),
        Block(
            b'data: {"type":"content_block_delta","index":0,"delta":'
            b'{"type":"input_json_delta","partial_json":"{"}}\n\n'
        ),
    ]
    error = await house.failure(endpoint="messages", model="slow", max_tokens=5)
    assert error.code == "bad_upstream"


async def test_replay_asks_whole_and_answers_as_a_stream() -> None:
    house = House("replay")
    stream = await house.stream(stream_options={"include_usage": True})
    sent = house.provider.calls[0].request
    assert not sent.stream
    assert sent.body == msgspec.json.encode({n: msgspec.Raw(json.dumps(v)) for n, v in ASK.items()})
    got = await read(stream)
    assert got.endswith(DONE)
    assert b"hello" in got
    assert stream.tally.clean
    assert (stream.tally.size, house.ended.size) == (len(got), len(got))
    assert (house.ended.reason, house.ended.upstream_seconds) == ("done", 0.0)
    assert house.notes.all(Used) == [Used("fast", USAGE, 170)]


async def test_a_model_that_cannot_stream_is_replayed_in_every_mode() -> None:
    house = House()
    stream = await house.stream(model="mute")
    assert not house.provider.calls[0].request.stream
    await stream.blocks.__anext__()
    await stream.blocks.aclose()
    with pytest.raises(StopAsyncIteration):
        await stream.blocks.__anext__()
    assert house.ended.reason == "client_gone"


async def test_what_cannot_be_replayed_is_a_broken_answer() -> None:
    house = House("replay")
    house.provider.body = b"{}"
    assert (await house.failure(stream=True)).code == "bad_upstream"


@pytest.mark.parametrize("mode", ["buffered", "replay"])
async def test_a_provider_that_breaks_its_contract_is_our_bug(mode: Mode) -> None:
    house = House(mode)

    class Contrary(ScriptedProvider):
        async def send(self, call: Call, /) -> Reply:
            wrong = call.request.with_fields(stream=not call.request.stream)
            return await super().send(msgspec.structs.replace(call, request=wrong))

    house.stage = RelayPolicy(mode=mode).build(
        Tools(
            runtime=make_runtime(house.clock),
            providers={"acme": Contrary(house.clock)},
            catalogue=Catalogue(models=MODELS),
        )
    )
    with pytest.raises(TypeError):
        await house.ask(stream=mode == "replay")


def test_the_policy_is_decoded_strictly() -> None:
    assert msgspec.convert({"stage": "relay"}, AnyStage) == RelayPolicy("direct")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"stage": "relay", "mode": "sideways"}, AnyStage)
