"""The relay's modes, set by policy: `buffered` streams upstream, `replay` never does."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes import answers
from tests.fakes.upstream import STALL, Answer, Part, json_reply, sse_reply
from tests.journeys.journey import QUADRANTS, complete, open_journey, said, told

CALLS = [("call_1", "weather", {"city": "Paris"}), ("call_2", "weather", {"city": "Rome"})]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: dict[str, Any] = {
    "openai": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
    "anthropic": [{"name": "weather", "input_schema": SCHEMA}],
}


def mode(name: str) -> list[dict[str, str]]:
    return [{"stage": "relay", "mode": name}]


def streams_only(provider: str, text: tuple[str, ...] = ("Hel", "lo."), calls: Any = ()) -> Answer:
    return answers.stream(provider, text, calls)


def calls_of(answer: Any, caller: str) -> list[tuple[str, str, Any]]:
    if caller == "anthropic":
        blocks = [b for b in answer["content"] if b["type"] == "tool_use"]
        return [(b["id"], b["name"], b["input"]) for b in blocks]
    calls = answer["choices"][0]["message"]["tool_calls"]
    return [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]


def streamed_calls(body: bytes, caller: str) -> list[tuple[str, str, Any]]:
    """Return the calls of a stream, their fragments joined."""
    found: dict[int, list[str]] = {}
    for _, data in told(body):
        if not isinstance(data, dict):
            continue
        if caller == "openai":
            pieces = [c for ch in data["choices"] for c in ch["delta"].get("tool_calls") or ()]
            for piece in pieces:
                call = found.setdefault(piece["index"], ["", "", ""])
                call[0] += piece.get("id") or ""
                call[1] += piece["function"].get("name") or ""
                call[2] += piece["function"].get("arguments") or ""
        elif data["type"] == "content_block_start" and data["content_block"]["type"] == "tool_use":
            found[data["index"]] = [data["content_block"]["id"], data["content_block"]["name"], ""]
        elif data["type"] == "content_block_delta" and "partial_json" in data["delta"]:
            found[data["index"]][2] += data["delta"]["partial_json"]
    return [(i, n, json.loads(a)) for i, n, a in found.values()]


@pytest.mark.parametrize("calls", [[], CALLS], ids=["text", "tools"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_buffered_streams_upstream_and_answers_whole(
    caller: str, provider: str, calls: Any
) -> None:
    """The provider is asked for a stream; the client gets one body, calls and usage included."""
    script = [streams_only(provider, ("Hel", "lo."), calls)]
    async with open_journey(script, provider, pipeline=mode("buffered")) as journey:
        answer = await journey.ask(caller, stream=False, tools=TOOLS[caller])
    assert answer.status == 200
    whole = answer.json
    if caller == "openai":
        assert whole["object"] == "chat.completion"
        assert whole["choices"][0]["message"]["content"] == "Hello."
        assert whole["choices"][0]["finish_reason"] == ("tool_calls" if calls else "stop")
        assert (whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"]) == (9, 4)
    else:
        assert whole["type"] == "message"
        assert whole["content"][0]["text"] == "Hello."
        assert whole["stop_reason"] == ("tool_use" if calls else "end_turn")
        assert (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) == (9, 4)
    if calls:
        assert calls_of(whole, caller) == CALLS
    assert journey.upstream.requests[0].json["stream"] is True
    event = journey.event
    assert (event["stream"], event["stream_end"]) == (False, "done")
    assert (event["tokens_in"], event["tokens_out"]) == (9, 4)


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_the_first_token_of_a_gathered_answer_is_noted_when_it_came(
    caller: str, provider: str
) -> None:
    """The client's own first byte is the last thing that happens."""
    held = asyncio.Event()
    script = [sse_reply([*(events := answers.events(provider))[:3], held, *events[3:]])]
    async with open_journey(script, provider, pipeline=mode("buffered")) as journey:
        asking = asyncio.ensure_future(journey.ask(caller, stream=False))
        await journey.upstream.until_received()
        await asyncio.sleep(0.3)
        held.set()
        assert (await asking).status == 200
        text = await journey.metrics()
    event = journey.event
    assert event["ttft_ms"] < 200 <= event["duration_ms"]
    [told] = [line for line in text.splitlines() if "first_token_seconds_sum{" in line]
    assert float(told.rpartition(" ")[2]) == pytest.approx(event["ttft_ms"] / 1000, abs=0.001)


@pytest.mark.parametrize("calls", [[], CALLS], ids=["text", "tools"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_replay_asks_for_a_whole_answer_and_streams_it(
    caller: str, provider: str, calls: Any
) -> None:
    """The provider is never asked to stream; the client gets a stream with its terminal event."""
    script = [answers.whole(provider, "Hello.", calls)]
    async with open_journey(script, provider, pipeline=mode("replay")) as journey:
        answer = await journey.ask(caller, tools=TOOLS[caller])
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert said(answer.body) == "Hello."
    assert complete(answer.body, caller)
    last = b"data: [DONE]" if caller == "openai" else b"event: message_stop"
    assert answer.body.index(b": turnout ") < answer.body.index(last)
    assert streamed_calls(answer.body, caller) == calls
    assert "stream" not in journey.upstream.requests[0].json
    event = journey.event
    assert (event["stream"], event["stream_end"]) == (True, "done")
    assert (event["tokens_in"], event["tokens_out"]) == (9, 4)


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_model_that_cannot_stream_is_replayed_without_a_policy(
    caller: str, provider: str
) -> None:
    script = [answers.whole(provider)]
    async with open_journey(script, provider, capabilities=["tools"]) as journey:
        answer = await journey.ask(caller)
    assert said(answer.body) == "Hello."
    assert complete(answer.body, caller)


@pytest.mark.parametrize(
    ("name", "stream"), [("buffered", True), ("replay", False), ("direct", True)]
)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_mode_leaves_alone_what_it_is_not_for(
    caller: str, provider: str, name: str, stream: bool
) -> None:
    script = [streams_only(provider) if stream else answers.whole(provider)]
    async with open_journey(script, provider, pipeline=mode(name)) as journey:
        answer = await journey.ask(caller, stream=stream)
    assert answer.status == 200
    assert bool(journey.upstream.requests[0].json.get("stream")) == stream


@pytest.mark.parametrize(
    ("then", "status", "code"),
    [
        ([], 502, "upstream_truncated"),
        ([STALL], 504, "upstream_idle"),
        ([b"data: {\n\n"], 502, "upstream_garbage"),
        ("error", 503, "upstream_busy"),
    ],
    ids=["cut", "stall", "garbage", "error"],
)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_buffered_stream_that_breaks_is_a_plain_error(
    caller: str, provider: str, then: Any, status: int, code: str
) -> None:
    """E06, E07: nothing was sent, so no half answer; a silent provider is noticed early."""
    rest: list[Part] = [answers.mid_stream_error(provider)] if then == "error" else then
    script = [answers.stream(provider, keep=3, then=rest)]
    async with open_journey(
        script, provider, pipeline=mode("buffered"), transport={"idle": 0.3}
    ) as journey:
        answer = await journey.ask(caller, stream=False)
    assert answer.status == (529 if (status, caller) == (503, "anthropic") else status)
    assert "choices" not in answer.json
    assert then != "error" or answer.json["error"]["message"] == "Overloaded"
    assert (journey.event["code"], journey.event["stream_end"]) == (code, "upstream_cut")


@pytest.mark.parametrize("reply", [json_reply({"error": {"message": "no"}}), sse_reply([])])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_replay_of_no_answer_is_an_error(caller: str, provider: str, reply: Answer) -> None:
    """E10: what cannot be read is not replayed."""
    async with open_journey([reply], provider, pipeline=mode("replay")) as journey:
        answer = await journey.ask(caller)
    assert answer.status == 502
    assert answer.json["error"]["message"]
