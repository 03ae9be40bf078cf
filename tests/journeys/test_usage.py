"""Token counts: the client sees what it chose to see, the log has them always."""

import json
from typing import Any

import pytest

from tests.fakes import answers
from tests.fakes.upstream import Answer, Part, json_reply, sse_reply
from tests.journeys.journey import QUADRANTS, complete, open_journey, said, told

ON: dict[str, Any] = {"stream_options": {"include_usage": True}}
COUNTED = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
PLAIN = answers.chat_chunks(usage=False)


def with_usage(event: bytes, usage: Any) -> bytes:
    chunk = json.loads(event.removeprefix(b"data: "))
    return b"data: " + json.dumps(chunk | {"usage": usage}).encode() + b"\n\n"


USAGE: dict[str, list[bytes]] = {
    "its own chunk": answers.chat_chunks(),
    "null before, its own chunk": [
        *[with_usage(e, None) for e in answers.chat_chunks()[:-2]],
        *answers.chat_chunks()[-2:],
    ],
    "on the finish chunk": [*PLAIN[:-2], with_usage(PLAIN[-2], COUNTED), PLAIN[-1]],
    "twice": [*PLAIN[:-2], with_usage(PLAIN[-2], COUNTED), *answers.chat_chunks()[-2:]],
    "twice, each in its own chunk": [
        *answers.chat_chunks()[:-2],
        with_usage(answers.chat_chunks()[-2], {**COUNTED, "completion_tokens": 3}),
        *answers.chat_chunks()[-2:],
    ],
    "on every chunk": [
        *[with_usage(e, {**COUNTED, "completion_tokens": n}) for n, e in enumerate(PLAIN[:-2])],
        *answers.chat_chunks()[-2:],
    ],
}


def asked_for(asked: bool) -> dict[str, Any]:
    return ON if asked else {}


def counts(body: bytes) -> list[Any]:
    return [d["usage"] for _, d in told(body) if isinstance(d, dict) and d.get("usage")]


@pytest.mark.parametrize("how", USAGE)
@pytest.mark.parametrize("asked", [True, False])
async def test_an_openai_client_sees_usage_only_when_it_asked(how: str, asked: bool) -> None:
    """E11: on, off, twice; the upstream is always asked for it, the log always has it."""
    script = [sse_reply(list[Part](USAGE[how]))]
    async with open_journey(script) as journey:
        answer = await journey.ask(**asked_for(asked))
    assert said(answer.body) == "Hello."
    assert complete(answer.body, "openai")
    seen = counts(answer.body)
    assert (seen[-1] == COUNTED) if asked else (seen == [])
    if not asked:
        assert b'"usage"' not in answer.body
    assert journey.upstream.requests[0].json["stream_options"] == {"include_usage": True}
    assert (journey.event["tokens_in"], journey.event["tokens_out"]) == (9, 4)


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_that_never_comes_stays_unknown(asked: bool) -> None:
    """E11: absent is null in the log, not zero, and no invented chunk."""
    async with open_journey([sse_reply(list[Part](PLAIN))]) as journey:
        answer = await journey.ask(**asked_for(asked))
    assert complete(answer.body, "openai")
    assert counts(answer.body) == []
    assert (journey.event["tokens_in"], journey.event["tokens_out"]) == (None, None)
    assert journey.event["cost_usd"] is None


@pytest.mark.parametrize("asked", [True, False])
async def test_an_anthropic_providers_usage_reaches_openai_clients_who_asked(asked: bool) -> None:
    """E11, across dialects: one chunk with usage before [DONE], or none."""
    async with open_journey([answers.stream("anthropic")], "anthropic") as journey:
        answer = await journey.ask("openai", **asked_for(asked))
    assert complete(answer.body, "openai")
    seen = counts(answer.body)
    assert [(u["prompt_tokens"], u["completion_tokens"]) for u in seen] == ([(9, 4)] * asked)
    assert (journey.event["tokens_in"], journey.event["tokens_out"]) == (9, 4)
    assert journey.event["cost_usd"] == pytest.approx(29e-6)


@pytest.mark.parametrize("how", USAGE)
async def test_an_anthropic_client_always_sees_usage(how: str) -> None:
    """E11, across dialects: in message_delta, wherever the provider put it."""
    script = [sse_reply(list[Part](USAGE[how]))]
    async with open_journey(script) as journey:
        answer = await journey.ask("anthropic")
    [ending] = [data for name, data in told(answer.body) if name == "message_delta"]
    assert (ending["usage"]["input_tokens"], ending["usage"]["output_tokens"]) == (9, 4)
    assert complete(answer.body, "anthropic")
    assert (journey.event["tokens_in"], journey.event["tokens_out"]) == (9, 4)


def without_usage(provider: str) -> Answer:
    [whole] = answers.whole(provider).parts
    assert isinstance(whole, bytes)
    fields = json.loads(whole.partition(b"\r\n\r\n")[2])
    del fields["usage"]
    return json_reply(fields)


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_whole_answer_without_usage_has_unknown_usage(caller: str, provider: str) -> None:
    """E11: an Anthropic message must state numbers, so a header says that they mean nothing."""
    async with open_journey([without_usage(provider)], provider) as journey:
        answer = await journey.ask(caller, stream=False)
    event = journey.event
    assert (event["tokens_in"], event["tokens_out"], event["cost_usd"]) == (None, None, None)
    assert "x-turnout-cost" not in answer.headers
    made_up = (caller, provider) == ("anthropic", "openai")
    assert answer.headers.get("x-turnout-degraded") == ("unknown-usage" if made_up else None)
    assert ("usage" in answer.json) is made_up


async def test_a_stream_without_usage_invents_no_usage_chunk() -> None:
    start, *events = answers.message_events()
    silent = [start.replace(b'"usage"', b'"unused"')]
    silent += [event.replace(b'"usage"', b'"unused"') for event in events]
    async with open_journey([sse_reply(list[Part](silent))], "anthropic") as journey:
        answer = await journey.ask("openai", **ON)
    assert complete(answer.body, "openai")
    assert counts(answer.body) == []
    assert journey.event["tokens_out"] is None


@pytest.mark.parametrize(("caller", "provider"), [("openai", "openai"), ("anthropic", "openai")])
async def test_an_options_object_of_the_caller_is_kept(caller: str, provider: str) -> None:
    """E11: the caller's other stream options still reach the provider."""
    options = {"stream_options": {"include_obfuscation": False}}
    fields: dict[str, Any] = options if caller == "openai" else {}
    async with open_journey([answers.stream(provider)], provider) as journey:
        await journey.ask(caller, **fields)
    asked = journey.upstream.requests[0].json["stream_options"]
    assert asked == {**fields.get("stream_options", {}), "include_usage": True}
