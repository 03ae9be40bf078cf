"""The modes of the last stage: streamed or whole upstream, whatever the caller wants."""

import json
from random import Random

import msgspec
import pytest

from gateway.core.catalogue import Catalogue
from gateway.core.errors import (
    StreamCut,
    UpstreamBroken,
)
from gateway.core.health import Health
from gateway.core.notes import Attempted, Used
from gateway.core.ports import Call, Tools
from gateway.core.reply import Block, Reply
from gateway.core.sse import DONE
from gateway.stages.modes import Mode
from gateway.stages.relay import RelayPolicy
from gateway.state.memory import memory_state
from tests.fakes.relay import ASK, MODELS, STREAM, USAGE, WHOLE, House, ScriptedProvider, read
from tests.fakes.runtime import make_runtime


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
            state=memory_state(house.clock),
            health=Health(Random(0)),
            capacity=house.capacity,
        )
    )
    with pytest.raises(TypeError):
        await house.ask(stream=mode == "replay")
