"""Streams that break off, report an error, or lack their formal end."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes import answers
from tests.fakes.upstream import CUT, RESET, Part, sse_reply
from tests.journeys.journey import QUADRANTS, broken, complete, open_journey, said, told

CHAT_ERROR = b'data: {"error":{"message":"Overloaded","type":"overloaded_error","code":null}}\n\n'
MESSAGE_ERROR = (
    b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
)


@pytest.mark.parametrize("end", ["proper end", "cut", "reset"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_stream_that_breaks_off_ends_with_an_error_event(
    caller: str, provider: str, end: str
) -> None:
    """E07, wire C "TCP cut", "no finish_reason": what came is passed on, then told to be broken."""
    told_some = asyncio.Event()  # a reset takes away what has not been read yet
    then: dict[str, list[Part]] = {"proper end": [], "cut": [CUT], "reset": [told_some, RESET]}
    script = [answers.stream(provider, keep=3, then=then[end])]
    async with open_journey(script, provider) as journey, journey.client() as client:
        client.send(journey.request(caller))
        status, _ = await client.head()
        body = await client.chunk()
        told_some.set()
        body += b"".join([chunk async for chunk in client.chunks()])
    assert status == 200
    assert said(body).startswith("Hel")
    error = broken(body, caller)
    if caller == "openai":
        assert error["code"] == "upstream_truncated"
    else:
        assert error["type"] == "api_error"
    event = journey.event
    assert (event["code"], event["stream_end"], event["fault"]) == (
        "upstream_truncated",
        "upstream_cut",
        "upstream",
    )
    assert event["stream_code"] == "upstream_truncated"


@pytest.mark.parametrize("end", ["proper end", "cut", "reset"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_stream_that_breaks_off_before_its_content_is_a_502(
    caller: str, provider: str, end: str
) -> None:
    """E07: nothing was sent, so the status can still tell."""
    then: dict[str, list[Part]] = {"proper end": [], "cut": [CUT], "reset": [RESET]}
    script = [answers.stream(provider, keep=1, then=then[end])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    assert answer.status == 502
    assert answer.json["error"]["message"]
    assert journey.event["code"] in {"upstream_truncated", "upstream_reset"}


@pytest.mark.parametrize("end", ["cut", "reset"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_whole_answer_that_breaks_off_is_a_502(
    caller: str, provider: str, end: str
) -> None:
    """E07: half a JSON body is never shown."""
    [whole] = answers.whole(provider).parts
    assert isinstance(whole, bytes)
    parts: list[Part] = [whole[:-20], CUT if end == "cut" else RESET]
    async with open_journey([type(answers.whole(provider))(parts)], provider) as journey:
        answer = await journey.ask(caller, stream=False)
    assert answer.status == 502
    assert journey.event["code"] in {"upstream_truncated", "upstream_reset"}


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
@pytest.mark.parametrize("usage", [True, False])
async def test_a_missing_done_after_the_finish_is_complete(caller: str, usage: bool) -> None:
    """Wire E1.4: a chat stream ends with [DONE], also where the provider forgot it."""
    events = answers.chat_chunks(usage=usage)[:-1]
    async with open_journey([sse_reply(events)]) as journey:
        answer = await journey.ask(caller)
    assert said(answer.body) == "Hello."
    assert not [d for _, d in told(answer.body) if isinstance(d, dict) and "error" in d]
    assert complete(answer.body, caller)
    last = b"data: [DONE]" if caller == "openai" else b"event: message_stop"
    assert answer.body.index(b": turnout ") < answer.body.index(last)
    assert journey.event["stream_end"] == "done"
    assert journey.event["code"] == ""


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("shape", ["chat", "message"])
@pytest.mark.parametrize(("caller", "provider"), [("openai", "anthropic"), ("anthropic", "openai")])
async def test_an_error_in_the_middle_of_a_stream_is_told_in_the_callers_shape(
    caller: str, provider: str, shape: str, named: bool
) -> None:
    """Wire C: `data: {"error"}` with or without `event: error`, in either provider's shape."""
    error = CHAT_ERROR if shape == "chat" else MESSAGE_ERROR
    reported = b"event: error\n" + error if named else error
    script = [answers.stream(provider, keep=3, then=[reported])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    broken(answer.body, caller)
    event = journey.event
    assert event["stream_end"] == "upstream_cut"
    assert event["fault"] == "upstream"
    assert event["code"] in {"upstream_error", "upstream_garbage"}
    if provider == "openai" or shape == "message":
        assert event["code"] == "upstream_error"
        assert "overloaded_error" in event["detail"]


ACROSS = {
    "overloaded": ("overloaded_error", "Overloaded", "server_error", "overloaded_error"),
    "broken": ("server_error", "the model fell over", "server_error", "api_error"),
    "refused": ("invalid_request_error", "no", "invalid_request_error", "invalid_request_error"),
    "busy": ("rate_limit_error", "slow down", "requests", "rate_limit_error"),
}


@pytest.mark.parametrize("what", ACROSS)
@pytest.mark.parametrize(("caller", "provider"), [("openai", "anthropic"), ("anthropic", "openai")])
async def test_an_error_in_the_middle_keeps_its_words_and_kind_across_dialects(
    caller: str, provider: str, what: str
) -> None:
    """E4: the caller learns as much as a caller of the provider's own dialect."""
    kind, message, chat, messages = ACROSS[what]
    error = {"type": "error", "error": {"type": kind, "message": message}}
    event = b"event: error\n" * (provider == "anthropic") + b"data: " + json.dumps(error).encode()
    script = [answers.stream(provider, keep=3, then=[event + b"\n\n"])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    told_as = broken(answer.body, caller)
    assert told_as["message"] == message
    assert told_as["type"] == (chat if caller == "openai" else messages)
    assert (journey.event["code"], journey.event["status"]) == ("upstream_error", 200)


@pytest.mark.parametrize(("caller", "provider"), [("openai", "anthropic"), ("anthropic", "openai")])
async def test_what_a_provider_says_of_our_key_in_the_middle_is_not_told(
    caller: str, provider: str
) -> None:
    error = {"type": "error", "error": {"type": "authentication_error", "message": "account 7"}}
    event = b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"
    script = [answers.stream(provider, keep=3, then=[event])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    assert "account 7" not in broken(answer.body, caller)["message"]


SAME = [
    ("openai", CHAT_ERROR),
    ("openai", b"event: error\n" + CHAT_ERROR),
    ("openai", MESSAGE_ERROR),
    ("anthropic", b"event: error\n" + MESSAGE_ERROR),
]


@pytest.mark.parametrize(("dialect", "error"), SAME)
async def test_an_error_in_the_middle_passes_as_it_is_within_one_dialect(
    dialect: str, error: bytes
) -> None:
    """Wire C: the provider's own event is the explicit error; nothing that ends cleanly follows."""
    script = [answers.stream(dialect, keep=3, then=[error])]
    async with open_journey(script, dialect) as journey:
        answer = await journey.ask(dialect)
    assert answer.body.count(error) == 1
    assert told(answer.body)[-1][1] == json.loads(error.rpartition(b"data: ")[2])
    assert not complete(answer.body, dialect)
    event = journey.event
    assert (event["stream_end"], event["stream_code"]) == ("upstream_cut", "upstream_error")


@pytest.mark.parametrize(("dialect", "error"), SAME)
async def test_an_error_event_that_passed_is_counted_as_a_failure(
    dialect: str, error: bytes
) -> None:
    """E07: code and fault in the log, as for every other stream that broke."""
    script = [answers.stream(dialect, keep=3, then=[error])]
    async with open_journey(script, dialect) as journey:
        await journey.ask(dialect)
    assert (journey.event["code"], journey.event["fault"]) == ("upstream_error", "upstream")


async def test_an_error_without_its_name_is_named_for_anthropic_clients() -> None:
    """Wire C "data line without event": dropped in silence, so this stream would end in silence."""
    script = [answers.stream("anthropic", keep=3, then=[MESSAGE_ERROR])]
    async with open_journey(script, "anthropic") as journey:
        answer = await journey.ask("anthropic")
    broken(answer.body, "anthropic")


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_an_error_as_first_event_gets_its_status_back(caller: str, provider: str) -> None:
    """Wire C: before any content it is the provider's refusal, not a 200."""
    script = [sse_reply([answers.mid_stream_error(provider)])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    assert answer.status == (503 if caller == "openai" else 529)
    assert answer.json["error"]["message"] == "Overloaded"
    assert ("type" in answer.json) == (caller == "anthropic")
    assert journey.event["code"] == "upstream_busy"


@pytest.mark.parametrize("ping", [b"event: ping\n\n", b"event: ping\ndata:\n\n", b"id: 7\n\n"])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_an_event_without_data_never_reaches_an_openai_client(ping: bytes, at: int) -> None:
    """Wire C `event: ping` without data: their SDKs fail to parse its empty JSON."""
    events = answers.chat_chunks()
    script = [sse_reply([*events[:at], ping, *events[at:]])]
    async with open_journey(script) as journey:
        answer = await journey.ask()
    assert b"ping" not in answer.body
    assert all(line for line in answer.body.split(b"\n") if line.startswith(b"data:"))
    assert said(answer.body) == "Hello."
    assert complete(answer.body, "openai")
    assert journey.event["stream_end"] == "done"


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_anthropics_pings_keep_either_client_alive(caller: str) -> None:
    """Wire C: with data on /v1/messages, a comment on /v1/chat/completions."""
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    events = answers.message_events()
    script = [sse_reply([*events[:3], ping, *events[3:]])]
    async with open_journey(script, "anthropic") as journey:
        answer = await journey.ask(caller)
    assert said(answer.body) == "Hello."
    assert complete(answer.body, caller)
    assert (ping in answer.body) == (caller == "anthropic")
    assert (b": ping\n\n" in answer.body) == (caller == "openai")


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_odd_but_legal_streams_are_read(caller: str) -> None:
    """Wire C: comments, CRLF, and a first chunk without choices, as OpenRouter and Azure send."""
    first: dict[str, Any] = {"id": "chatcmpl-1", "choices": [], "prompt_filter_results": []}
    events = [b": OPENROUTER PROCESSING\n\n", b"data: " + json.dumps(first).encode() + b"\n\n"]
    events += answers.chat_chunks()
    script = [sse_reply([event.replace(b"\n", b"\r\n") for event in events])]
    async with open_journey(script) as journey:
        answer = await journey.ask(caller)
    assert said(answer.body) == "Hello."
    assert complete(answer.body, caller)
    assert b"\r" not in answer.body
    assert journey.event["tokens_in"] == 9
