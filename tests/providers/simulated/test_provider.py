"""The simulated provider as a whole: what it refuses and how it fails."""

import asyncio
from typing import Any

import pytest

from gateway.core import wire
from gateway.core.chat import Endpoint
from gateway.core.errors import (
    Retry,
    StreamCut,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.reply import Stream, Usage, Whole
from gateway.providers.simulated.laws import Errors, RateLimit, Window
from gateway.providers.simulated.provider import SimulatedConfig
from tests.fakes.clock import FakeClock
from tests.fakes.simulated import (
    OPENAI_TOOLS,
    ask,
    make,
    read_all,
    text_of,
    whole,
)


async def test_the_reply_says_who_answered_and_what_was_used() -> None:
    reply = await make().send(ask())
    assert isinstance(reply, Whole)
    assert (reply.answered.provider, reply.answered.model) == ("sim", "simulated/demo")
    assert reply.answered.request_id
    used = wire.decode(reply.body)["usage"]
    assert reply.usage == Usage(input=used["prompt_tokens"], output=used["completion_tokens"])


REFUSED: dict[str, tuple[str, Endpoint, dict[str, Any]]] = {
    "several answers": ("n", "chat", {"n": 2}),
    "a list of n": ("n", "chat", {"n": [1]}),
    "no room for an answer": ("max_tokens", "chat", {"max_tokens": 0}),
    "a limit as text": ("max_completion_tokens", "chat", {"max_completion_tokens": "9"}),
    "no limit for a message": ("max_tokens", "messages", {"max_tokens": None}),
    "a tool that is not there": (
        "tool_choice",
        "chat",
        {"tools": OPENAI_TOOLS, "tool_choice": {"type": "function", "function": {"name": "z"}}},
    ),
    "streamed embeddings": ("stream", "embeddings", {"stream": True}),
    "negative dimensions": ("dimensions", "embeddings", {"dimensions": -1}),
    "a schema beyond it": (
        "response_format",
        "chat",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}},
    ),
    "a tool beyond it": (
        "tools",
        "messages",
        {"tools": [{"name": "a", "input_schema": {"not": {}}}], "tool_choice": {"type": "any"}},
    ),
}


@pytest.mark.parametrize(("param", "endpoint", "fields"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_it_cannot_do_is_refused_as_a_real_provider_would(
    param: str, endpoint: Endpoint, fields: dict[str, Any]
) -> None:
    with pytest.raises(UpstreamRefused) as caught:
        await make().send(ask("x", endpoint, **fields))
    assert caught.value.status == 400
    error = wire.decode(caught.value.body)["error"]
    assert param in error["message"]
    assert error["type"] == "invalid_request_error"


async def test_rate_limits_answer_429_in_the_callers_dialect_with_a_wait() -> None:
    provider = make(rate_limit=RateLimit(requests=1))
    await provider.send(ask())
    for endpoint, kind in (("chat", "requests"), ("messages", "rate_limit_error")):
        with pytest.raises(UpstreamBusy) as caught:
            await provider.send(ask(endpoint=endpoint))  # type: ignore[arg-type]  # both are endpoints
        assert caught.value.status == 429
        assert caught.value.retry is Retry.SAME
        assert caught.value.retry_after == pytest.approx(60, abs=0.1)
        assert wire.decode(caught.value.body)["error"]["type"] == kind


async def test_an_outage_is_no_connection_for_as_long_as_it_lasts() -> None:
    clock = FakeClock()
    provider = make(clock, outage=(Window(10, 20),))
    await provider.send(ask())
    await clock.advance(10)
    with pytest.raises(UpstreamBroken) as caught:
        await provider.send(ask())
    assert caught.value.retry is Retry.OTHER
    await clock.advance(10)
    await provider.send(ask())


def only(**kind: float) -> Errors:
    return Errors(
        rate=1, calm=0, **{"busy": 0.0, "broken": 0.0, "stall": 0.0, "reset": 0.0, **kind}
    )


async def test_server_errors_are_told_by_their_status() -> None:
    provider = make(errors=only(broken=1))
    seen = set()
    for _ in range(30):
        with pytest.raises((UpstreamBroken, UpstreamBusy)) as caught:
            await provider.send(ask(endpoint="messages"))
        seen.add(type(caught.value))
    assert seen == {UpstreamBroken, UpstreamBusy}


async def test_stalls_end_with_patience_before_or_in_the_middle_of_a_stream() -> None:
    clock = FakeClock()
    provider = make(clock, errors=only(stall=1), patience=5)
    codes = set()
    for _ in range(12):
        task = asyncio.ensure_future(provider.send(ask(stream=True)))
        await clock.advance(5)
        try:
            reply = await task
        except UpstreamTimeout as error:
            codes.add(error.code)
            continue
        assert isinstance(reply, Stream)
        reading = asyncio.ensure_future(read_all(reply))
        await clock.advance(5)
        with pytest.raises(UpstreamTimeout) as caught:
            await reading
        codes.add(caught.value.code)
        assert not reply.tally.clean
    assert codes == {"upstream_first_byte_timeout", "upstream_idle"}


async def test_resets_break_before_or_in_the_middle_and_never_end_cleanly() -> None:
    provider = make(errors=only(reset=1))
    kinds: set[type[Exception]] = set()
    for _ in range(12):
        try:
            reply = await provider.send(ask(stream=True))
        except UpstreamBroken as error:
            kinds.add(type(error))
            continue
        assert isinstance(reply, Stream)
        with pytest.raises(StreamCut):
            await read_all(reply)
        kinds.add(StreamCut)
        assert not reply.tally.clean
    assert kinds == {UpstreamBroken, StreamCut}
    with pytest.raises(UpstreamBroken):
        await provider.send(ask())


async def test_the_same_seed_and_order_give_the_same_story() -> None:
    async def story() -> list[str]:
        provider, told = make(seed=4, errors=Errors(rate=0.5, calm=0, stall=0)), []
        for number in range(20):
            try:
                told.append(text_of(await whole(ask(f"question {number}"), provider)))
            except (UpstreamBroken, UpstreamBusy) as error:
                told.append(f"{error.status} {error.retry_after}")
        return told

    assert await story() == await story()


async def test_there_is_nothing_to_warm_or_close() -> None:
    provider = make()
    await provider.warm()
    await provider.aclose()
    assert SimulatedConfig().unusable() == ""
