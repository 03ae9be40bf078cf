"""C03, C04, C12, C13: whatever a provider says and however a request ends, it is charged once."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes import anthropic_events
from tests.fakes.answers import sse
from tests.fakes.gateway import open_test_gateway, write_config
from tests.fakes.metered import (
    HELLO,
    Crowd,
    Meter,
    chunks,
    counted,
    ledger,
    limited_config,
    open_metered,
)
from tests.fakes.process import Process, serving, until
from tests.fakes.upstream import (
    CUT,
    RESET,
    STALL,
    Answer,
    Part,
    Received,
    json_reply,
    open_upstream,
    sse_reply,
)

PATHS = {"openai": "/chat/completions", "anthropic": "/messages"}
BUDGET = {"cost": 1.0, "each": "day"}
Say = Callable[[Received], Answer]


async def charged(
    say: Say, *, after: float = 0.0, caller: str = "openai", provider: str = "openai", **fields: Any
) -> tuple[int, dict[str, Any]]:
    """Ask once; return the micro-dollars that the budget has spent, and the wide event.

    With `after` the caller leaves so many seconds after the first bytes came. `caller` and
    `provider` say in whose words they speak.
    """
    async with open_upstream(say) as upstream, AsyncExitStack() as stack:
        config = limited_config(upstream, BUDGET)
        if provider == "anthropic":
            config["providers"] = {"acme": {"kind": provider, "base_url": upstream.url[:-3]}}
        gateway = await stack.enter_async_context(open_test_gateway(**config))
        body = {**HELLO, **fields}
        async with (
            aiohttp.ClientSession() as session,
            session.post(gateway.url + PATHS[caller], json=body) as response,
        ):
            if after:
                await response.content.readany()
            else:
                await response.read()
        async with asyncio.timeout(10):
            while gateway.gateway.edge.in_flight or not gateway.events():
                await asyncio.sleep(0.01)
        data = gateway.log.parent / "data"
        async with asyncio.timeout(10):
            while (rows := await asyncio.to_thread(counted, data))[0][1]:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            while not (sums := await asyncio.to_thread(ledger, data))["requests"][0]:
                await asyncio.sleep(0.01)
        assert sums["requests"][3] == sums["attempts"][3] == rows[0][0]
        event = next(event for event in gateway.events() if event["event"] == "request")
    return rows[0][0], event


def whole(usage: object) -> Say:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "word " * 60},
        "finish_reason": "stop",
    }
    answer: dict[str, Any] = {"id": "c", "object": "chat.completion", "choices": [choice]}
    if usage is not None:
        answer["usage"] = usage
    return lambda _: json_reply(answer)


def stream(usage: Any) -> Say:
    events = sse(*chunks(usage, ["a"] * 40))
    return lambda _: sse_reply([*events, b"data: [DONE]\n\n"])


def said(output: object) -> Mapping[str, object]:
    return {"prompt_tokens": 9, "completion_tokens": output}


USAGES = {
    "as it should be": (said(33), 33),
    "nothing": (said(0), 0),
    "less than passed": (said(1), 1),
    "more than allowed": (said(150), 150),
    "absent": (None, None),
    "negative": (said(-5), None),
    "2^63": (said(2**63), None),
    "a string": (said("12"), None),
    "null": ({"prompt_tokens": None, "completion_tokens": None}, None),
}


@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("streams", [False, True])
async def test_c12_odd_usage_is_charged_as_the_rule_says(name: str, streams: bool) -> None:
    usage, tokens = USAGES[name]
    say = stream(usage) if streams else whole(usage)
    spent, event = await charged(say, stream=streams)
    if tokens is None:
        assert event["counted"] == "relayed"
        # 40 letters in an event each, half a token and no frame; or 300 letters in JSON
        assert spent == 20 * 10 if streams else 60 * 10 <= spent <= 100 * 10
    else:
        assert event["counted"] == "provider"
        assert spent == tokens * 10


def message(usage: Any) -> Say:
    answer: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "word " * 60}],
        "stop_reason": "end_turn",
    }
    if usage is not None:
        answer["usage"] = {"input_tokens": 9, **usage}
    return lambda _: json_reply(answer)


def messages(usage: Any) -> Say:
    """A stream that tells at its beginning what came in, and at its end what went out."""
    told = {} if usage is None else {"usage": usage}
    ending = anthropic_events.event(
        "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, **told
    )
    begun = anthropic_events.start(output_tokens=0) + anthropic_events.text(0, *["a"] * 40)
    stop = anthropic_events.event("message_stop")
    return lambda _: sse_reply([begun, ending, stop])


@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("caller", PATHS)
async def test_c12_odd_usage_in_anthropics_words_is_charged_as_the_rule_says(
    name: str, streams: bool, caller: str
) -> None:
    usage, tokens = USAGES[name]
    if usage is not None:
        usage = {"output_tokens": usage["completion_tokens"]}
    say = messages(usage) if streams else message(usage)
    spent, event = await charged(say, caller=caller, provider="anthropic", stream=streams)
    if tokens is None:
        assert event["counted"] == "relayed"
        # 40 letters, of which each counts half, or 300 in JSON; at most what the request allows
        assert 20 * 10 <= spent <= 100 * 10
    else:
        assert event["counted"] == "provider"
        assert spent == tokens * 10


@pytest.mark.parametrize(
    ("ending", "counted_as"),
    [(CUT, "relayed"), (RESET, "relayed"), (STALL, "relayed")],
    ids=["cut", "reset", "left by the caller"],
)
async def test_c12_a_stream_that_ends_too_early_is_charged_for_what_passed(
    ending: Any, counted_as: str
) -> None:
    events = sse(*chunks(None, ["word "] * 20)[:20])
    leaves = 0.1 if ending is STALL else 0.0
    spent, event = await charged(lambda _: sse_reply([*events, ending]), after=leaves, stream=True)
    assert event["counted"] == counted_as
    assert 10 <= spent <= 20 * 10


async def test_c12_an_answer_longer_than_it_may_be_rings_once() -> None:
    async with (
        open_upstream(whole(said(150))) as upstream,
        open_test_gateway(**limited_config(upstream, BUDGET)) as gateway,
    ):
        await Crowd([gateway.url]).ask(3)
        metrics = (await gateway.gateway.process.metrics()).decode()
        async with asyncio.timeout(10):
            while len(gateway.events()) < 4:
                await asyncio.sleep(0.01)
        warnings = [event for event in gateway.events() if event.get("level") == "warning"]
    assert [event["model"] for event in warnings] == ["m"]
    assert 'turnout_output_overruns_total{model="m"} 3.0' in metrics


async def test_an_answer_that_never_comes_is_charged_as_reserved() -> None:
    spent, event = await charged(lambda _: sse_reply([RESET]))
    assert (event["counted"], spent) == ("reserved", 1000)


async def test_an_upstream_that_says_no_costs_nothing() -> None:
    error = {"error": {"message": "no", "type": "invalid_request_error"}}
    spent, event = await charged(lambda _: json_reply(error, status=400))
    assert (event["counted"], spent) == ("nothing", 0)


async def test_c13_the_ledger_has_a_row_an_attempt_and_adds_up_to_the_upstreams_meter() -> None:
    async with open_metered() as (meter, upstream):
        config = limited_config(upstream, BUDGET, {"requests": 40, "each": "day"})
        async with open_test_gateway(**config) as gateway:
            crowd = Crowd([gateway.url])
            for tokens in range(1, 26):
                await crowd.ask(1, max_tokens=tokens)
                await crowd.ask(1, max_tokens=tokens, stream=True)
            data = gateway.log.parent / "data"
            async with asyncio.timeout(10):
                while (await asyncio.to_thread(ledger, data))["requests"][0] < 40:
                    await asyncio.sleep(0.01)
            sums = await asyncio.to_thread(ledger, data)
    assert crowd.codes == {"": 40, "budget_exceeded": 10}
    assert meter.calls == 40
    total = (40, meter.tokens_in, meter.tokens_out, meter.tokens_out * 10)
    assert sums == {"requests": total, "attempts": total}


async def test_c13_without_any_limit_the_ledger_adds_up_too() -> None:
    async with open_metered() as (meter, upstream):
        config = {**limited_config(upstream), "pipeline": []}
        async with open_test_gateway(**config) as gateway:
            await Crowd([gateway.url]).ask(20)
            data = gateway.log.parent / "data"
            async with asyncio.timeout(10):
                while (await asyncio.to_thread(ledger, data))["requests"][0] < 20:
                    await asyncio.sleep(0.01)
            sums = await asyncio.to_thread(ledger, data)
    assert sums["requests"] == (20, meter.tokens_in, meter.tokens_out, meter.tokens_out * 10)


def age(data: Path) -> int:
    """Let the leases of `limits.db` be over; return how many there are."""
    with closing(sqlite3.connect(data / "limits.db")) as db:
        db.execute("UPDATE leases SET expires = expires - 100000")
        held = db.execute("SELECT id, held FROM leases").fetchall()
        for name, body in held:
            lease = json.loads(body)
            lease[4] -= 100_000
            db.execute("UPDATE leases SET held = ? WHERE id = ?", (json.dumps(lease), name))
        db.commit()
    return len(held)


@pytest.mark.parametrize("moment", ["before the first token", "in the middle of a stream"])
async def test_c03_what_a_killed_gateway_held_is_charged_in_full(
    moment: str, tmp_path: Path
) -> None:
    events = sse(*chunks(None, ["a"] * 3)[:3])
    parts: list[Part] = [STALL] if moment.startswith("before") else [*events, STALL]
    async with open_upstream(lambda _: sse_reply(parts)) as upstream:
        write_config(tmp_path, **limited_config(upstream, BUDGET))
        data = tmp_path / "data"
        with serving(tmp_path) as process:
            url = f"http://127.0.0.1:{process.port}/v1"
            asking = asyncio.ensure_future(Crowd([url]).ask(8, stream=True))
            await upstream.until_received(8)
            await asyncio.to_thread(process.running.kill)
            await asyncio.to_thread(process.running.wait)
            with pytest.raises(aiohttp.ClientError):
                await asking
        assert await asyncio.to_thread(counted, data) == [(0, 8000)]
        assert await asyncio.to_thread(age, data) == 8
        with serving(tmp_path) as process:
            await asyncio.to_thread(until, partial(_charged, data), process)


def _charged(data: Path) -> bool:
    return counted(data) == [(8000, 0)]


async def test_c04_a_request_settles_once_however_it_ends_and_is_settled_at_the_end(
    tmp_path: Path,
) -> None:
    async with open_metered() as (meter, upstream):
        write_config(tmp_path, **limited_config(upstream, BUDGET, {"concurrent": 3}))
        with serving(tmp_path) as process:
            crowd = Crowd([f"http://127.0.0.1:{process.port}/v1"])
            for _ in range(5):
                await crowd.ask(3, stream=True)
            await asyncio.to_thread(_end, process)
        assert crowd.codes == {"": 15}
        assert await asyncio.to_thread(counted, tmp_path / "data") == [(0, 0), (15_000, 0)]
        assert (meter.calls, Meter().calls) == (15, 0)


def _end(process: Process) -> None:
    process.running.terminate()
    process.end()
