"""No key leaves by an answer, the log or the metrics, whatever a provider or a stranger does."""

import asyncio
import json
from base64 import b64encode
from urllib.parse import quote

import pytest

from tests.fakes import answers
from tests.fakes.raw_client import Answer as Received
from tests.fakes.raw_client import get, post
from tests.fakes.upstream import CUT, RESET, Answer, Part, json_reply, raw_reply, sse_reply
from tests.journeys.journey import (
    CLIENT_KEY,
    ENVIRONMENT,
    LIMIT,
    PATHS,
    PROMPT,
    PROVIDER_KEY,
    QUADRANTS,
    Journey,
    broken,
    open_journey,
)

STRANGER_KEY = "tk-stranger-canary-0d9e77"
ECHO = f"Bad header: Authorization: Bearer {PROVIDER_KEY}, x-api-key: {PROVIDER_KEY}"
TOUCHY = {"first_byte": 0.2, "idle": 0.2}


def spellings(key: str) -> list[str]:
    plain = key.encode()
    return [key, key[3:], quote(key, safe=""), b64encode(plain).decode(), plain.hex()]


def canaries() -> list[str]:
    """Every secret in every usual spelling, the prompt, and the names of the variables."""
    secrets = [form for key in (PROVIDER_KEY, CLIENT_KEY, STRANGER_KEY) for form in spellings(key)]
    return [*secrets, *ENVIRONMENT, PROMPT]


def assert_clean(sink: str) -> None:
    assert [canary for canary in canaries() if canary in sink] == []


def text_of(answer: Received) -> str:
    """Return all that a client sees: headers, body, and what the body says once it is decoded."""
    try:
        read = answer.json
    except ValueError:
        read = None
    return f"{answer!r} {read!r}"


def echoes(provider: str, *, stream: bool) -> dict[str, Answer]:
    """Ways in which a provider may repeat our key."""
    named = provider == "anthropic"
    error = {"type": "rate_limit_error", "code": None, "message": ECHO}
    body = {"type": "error", "error": error} if named else {"error": error}
    event = (b"event: error\n" if named else b"") + b"data: " + json.dumps(body).encode() + b"\n\n"
    head = {"x-request-id": PROVIDER_KEY, "request-id": PROVIDER_KEY, "x-echo": ECHO}
    [whole] = answers.whole(provider).parts
    assert isinstance(whole, bytes)
    body_of_whole = whole.partition(b"\r\n\r\n")[2]
    events = sse_reply(answers.events(provider), headers=head)
    escaped = json.dumps(body).replace(PROVIDER_KEY, PROVIDER_KEY.replace("-", "\\u002d")).encode()
    return {
        **{f"body {n}": json_reply(body, n) for n in (400, 401, 404, 422, 429, 500, 503)},
        "escaped body": json_reply(escaped, 400),
        "key in a field of its own": json_reply({**body, "headers": {"key": PROVIDER_KEY}}, 400),
        "key as type": json_reply({"type": "error", "error": {"type": PROVIDER_KEY}}, 400),
        "HTML": raw_reply([b"HTTP/1.1 400 No\r\ncontent-length: 90\r\n\r\n" + ECHO[:90].encode()]),
        "header of an error": json_reply(body, 429, head),
        "header of an answer": events if stream else json_reply(body_of_whole, 200, head),
        "reason phrase": raw_reply([f"HTTP/1.1 500 {ECHO}\r\ncontent-length: 0\r\n\r\n".encode()]),
        "status line": raw_reply([f"{ECHO}\r\n\r\n".encode()]),
        "redirect": json_reply(body, 302, {"location": f"http://127.0.0.1:1/{PROVIDER_KEY}"}),
        "content type": json_reply(body, 200, {"content-type": PROVIDER_KEY}),
        "200 with an error": json_reply(body),
        "error event first": sse_reply([event]),
        "error event in the middle": answers.stream(provider, keep=3, then=[event]),
        "garbage event": answers.stream(
            provider, keep=3, then=[b"data: " + ECHO.encode() + b"\n\n"]
        ),
    }


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("way", echoes("openai", stream=True))
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_provider_that_repeats_our_key_is_not_heard(
    caller: str, provider: str, way: str, stream: bool
) -> None:
    """J02: in a body, a header, an event or where no one expects it: neither shown nor logged."""
    script = [echoes(provider, stream=stream)[way]]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller, stream=stream)
    assert_clean(text_of(answer))
    assert_clean(json.dumps(journey.lines))


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_an_error_event_that_repeats_our_key_is_told_without_it(
    caller: str, provider: str
) -> None:
    """J02, SSE: masked where the provider's own event passes, constant words across dialects."""
    script = [echoes(provider, stream=True)["error event in the middle"]]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    broken(answer.body, caller)
    assert_clean(text_of(answer))
    if caller == provider:
        assert b"***" in answer.body
    else:
        assert "***" in journey.event["detail"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_an_answer_that_repeats_our_key_is_told_without_it(
    caller: str, provider: str, stream: bool
) -> None:
    """J02: a provider that puts our key into the text of an answer; only the key is taken out."""
    text = f"the key is {PROVIDER_KEY}, is it not?"
    told = answers.stream(provider, (text, " It is."))
    script = [told if stream else answers.whole(provider, f"{text} It is.")]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller, stream=stream)
    assert answer.status == 200
    assert_clean(text_of(answer))
    assert b"the key is ***, is it not?" in answer.body
    assert b" It is." in answer.body


async def test_a_key_in_an_event_that_arrives_in_two_pieces_is_found() -> None:
    events = answers.events("openai", (f"it is {PROVIDER_KEY}!",))
    half = events[1].index(b"canary")
    pieces: list[Part] = [events[0], events[1][:half], 0.05, events[1][half:], *events[2:]]
    async with open_journey([sse_reply(pieces)]) as journey:
        answer = await journey.ask()
    assert_clean(text_of(answer))
    assert b"it is ***!" in answer.body


def faults(*, stream: bool) -> list[Answer]:
    """What an upstream may do wrong; half of it repeats our key."""
    half = answers.stream("openai", keep=3)
    return [
        *echoes("openai", stream=stream).values(),
        answers.whole("openai"),
        answers.stream("openai"),
        half,
        answers.stream("openai", keep=3, then=[CUT]),
        answers.stream("openai", keep=3, then=[0.05, RESET]),
        answers.stream("openai", keep=0, then=[RESET]),
        raw_reply([RESET]),
        raw_reply([b"\x00\xff" * 99]),
        json_reply(b"{", 200),
        answers.error("openai", 529, "overloaded_error", "Overloaded"),
    ]


def strangers() -> list[bytes]:
    """Requests that carry keys where they do not belong, or are broken around them."""
    body = json.dumps({"model": STRANGER_KEY, "messages": [{"role": "user", "content": PROMPT}]})
    raw, bearer = body.encode(), f"Bearer {CLIENT_KEY}"
    path = PATHS["openai"]
    return [
        post(raw, path, authorization=f"Bearer {STRANGER_KEY}"),
        post(raw, path, x_api_key=STRANGER_KEY),
        post(raw, path, authorization=f"Basic {STRANGER_KEY}"),
        post(raw, path, authorization=bearer, x_api_key=STRANGER_KEY),
        post(raw, path, authorization=bearer),
        post(raw, f"{path}?api_key={CLIENT_KEY}"),
        post(raw, f"/v1/{STRANGER_KEY}", authorization=bearer),
        post(raw[:-1], path, authorization=bearer),
        post(STRANGER_KEY.encode(), path, authorization=bearer),
        post(raw, path, authorization=bearer, content_type=STRANGER_KEY),
        post(raw, path, authorization=bearer, x_turnout_deadline_ms=STRANGER_KEY),
        get(f"/v1/models/{STRANGER_KEY}", authorization=bearer),
        post(raw, path, authorization=f"{bearer}\x01"),
        f"GET / HTTP/1.1\r\n{STRANGER_KEY} : x\r\n\r\n".encode(),
        f"{STRANGER_KEY} / HTTP/9.9\r\n\r\n".encode(),
        post(raw, PATHS["anthropic"], x_api_key=CLIENT_KEY, anthropic_beta=f"{STRANGER_KEY} x"),
    ]


async def answer_to(journey: Journey, request: bytes) -> str:
    journey.asked += 1
    async with asyncio.timeout(LIMIT), journey.client() as client:
        return text_of(await client.ask(request))


async def test_no_sink_has_seen_a_secret_after_forty_faults() -> None:
    """J01, J05, J06, K12: answers, log, metrics and readiness after all of the above."""
    turns = [
        (fault, caller, stream)
        for stream in (True, False)
        for fault in faults(stream=stream)
        for caller in ("openai", "anthropic")
    ]
    sinks = []
    script = [fault for fault, _, _ in turns]
    async with open_journey(script, transport=TOUCHY) as journey:
        for _, caller, stream in turns:
            sinks.append(text_of(await journey.ask(caller, stream=stream)))
        journey.upstream.script = [answers.whole("openai")]
        sinks += [await answer_to(journey, request) for request in strangers()]
        metrics = await journey.metrics()
        sinks.append(await answer_to(journey, get("/readyz")))
        journey.asked -= 1  # a probe that finds nothing wrong is not logged
        sinks.append(repr(journey.gateway))
    assert len(sinks) > 100
    for sink in sinks:
        assert_clean(sink)
    assert_clean(metrics)
    assert 'turnout_errors_total{code="upstream_truncated"' in metrics
    assert_clean(json.dumps(journey.lines))
    assert len(journey.lines) >= journey.asked
