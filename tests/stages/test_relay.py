"""The last stage: who is asked, and what is written down about it."""

import asyncio
import json

import msgspec
import pytest

from gateway.core.catalogue import Target
from gateway.core.errors import (
    BadRequest,
    InternalError,
    StreamCut,
    UnknownModel,
    UpstreamBusy,
    UpstreamTimeout,
)
from gateway.core.exchange import Route
from gateway.core.notes import Attempted, Routed, StreamEnded, Used, Work
from gateway.core.reply import Stream, Usage
from gateway.stages import AnyStage
from gateway.stages.relay import RelayPolicy
from tests.fakes.relay import (
    ASK,
    MODELS,
    STREAM,
    USAGE,
    House,
    read,
)


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
    for unknown in (None, Usage(doubtful=True)):
        house.provider.usage = unknown
        await house.ask(model="slow")
        assert house.notes.all(Used) == []


@pytest.mark.parametrize(
    ("error", "code", "status", "work"),
    [
        (UpstreamBusy("later", status=429), "upstream_busy", 429, "refused"),
        (UpstreamTimeout("late"), "upstream_timeout", 504, "unknown"),
        (BadRequest("no", param="n"), "invalid_request", 400, "none"),
        (asyncio.CancelledError(), "cancelled", 0, "unknown"),
        (ValueError("a bug"), "internal_error", 500, "unknown"),
    ],
)
async def test_a_failed_attempt_is_noted_and_raised(
    error: BaseException, code: str, status: int, work: Work
) -> None:
    house = House()
    house.provider.error = error
    with pytest.raises(type(error)):
        await house.ask()
    assert house.notes.all(Attempted) == [
        Attempted("acme", "fast", 1_000.0, 1_002.0, code, status, work)
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


async def test_a_stream_that_the_deadline_cut_is_not_blamed_on_the_client() -> None:
    house = House()
    house.provider.steps = [STREAM[0], 6_000.0, asyncio.CancelledError()]
    reply = await house.ask(stream=True)
    assert isinstance(reply, Stream)
    with pytest.raises(asyncio.CancelledError):
        [block async for block in reply.blocks]
    ended = house.notes.last(StreamEnded)
    assert ended is not None
    assert (ended.reason, ended.code) == ("error", "deadline_exceeded")


async def test_an_error_event_that_the_provider_sent_is_noted_as_a_cut() -> None:
    house = House()
    reply = await house.ask(stream=True)
    assert isinstance(reply, Stream)
    reply.tally.error = "upstream_error"
    assert [block async for block in reply.blocks] == STREAM
    ended = house.notes.last(StreamEnded)
    assert ended is not None
    assert (ended.reason, ended.code) == ("upstream_cut", "upstream_error")


def test_the_policy_is_decoded_strictly() -> None:
    assert msgspec.convert({"stage": "relay"}, AnyStage) == RelayPolicy("direct")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"stage": "relay", "mode": "sideways"}, AnyStage)
