"""Upstreams that send what is no event, no JSON, no answer: never passed on, always told."""

import json
from typing import Any

import pytest

from tests.fakes import answers
from tests.fakes.upstream import Answer, Part, json_reply, raw_reply, sse_reply
from tests.journeys.journey import QUADRANTS, broken, complete, open_journey, said

BAD: dict[str, list[Part]] = {
    "bad JSON": [b'data: {"id": canary-garbage}\n\n'],
    "cut JSON": [b'data: {"id":"canary-garbage\n\n'],
    "no object": [b'data: "canary-garbage"\n\n'],
    "a list": [b'data: ["canary-garbage"]\n\n'],
    "invalid UTF-8": [b'data: {"type":"ping","id":"canary-garbage \xff\xfe"}\n\n'],
    "invalid UTF-8 in two chunks": [
        b'data: {"type":"ping","id":"canary-garbage \xe2\x82',
        b'"}\n\n',
    ],
    "invalid UTF-8 in an unknown field": [
        b'data: {"type":"ping","choices":[],"x":"canary-garbage \xff\xfe"}\n\n'
    ],
    "invalid UTF-8 in no field": [b"\x00\xff\xfe canary-garbage\n\n"],
    "wrong types": [b'data: {"type":7,"choices":"canary-garbage"}\n\n'],
    "HTML": [b"<html>canary-garbage</html>\n\ndata: <html>\n\n"],
    "deep": [b"data: " + b"[" * 5000 + b"\n\n"],
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_garbage_in_a_stream_is_an_error_event(caller: str, provider: str, bad: str) -> None:
    """E08: what came before it is passed on, it itself never."""
    script = [answers.stream(provider, keep=3, then=[0.02, *BAD[bad]])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
    assert answer.status == 200
    assert said(answer.body).startswith("Hel")
    broken(answer.body, caller)
    assert b"canary-garbage" not in answer.body
    assert b"<html>" not in answer.body
    answer.body.decode()
    assert journey.event["code"] in {"upstream_garbage", "upstream_truncated"}
    assert journey.event["stream_end"] == "upstream_cut"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_garbage_before_any_content_is_a_502(caller: str, provider: str, bad: str) -> None:
    """E08: with nothing sent yet, the status tells."""
    async with open_journey([sse_reply(BAD[bad])], provider) as journey:
        answer = await journey.ask(caller)
    assert answer.status == 502
    assert b"canary-garbage" not in answer.body
    assert journey.event["code"] in {"bad_upstream", "upstream_truncated"}


def one_byte_each(events: list[bytes]) -> list[Part]:
    return [b"%c" % byte for byte in b"".join(events)]


def lines(events: list[bytes], end: bytes) -> list[Part]:
    return [event.replace(b"\n", end) for event in events]


def split_in_characters(events: list[bytes]) -> list[Part]:
    whole = b"".join(events)
    return [whole[i : i + 7] for i in range(0, len(whole), 7)]


def with_fields(events: list[bytes]) -> list[Part]:
    return [b"id: 7\nretry: 10\nx-own: 1\n: a comment\n" + event for event in events]


ODD: dict[str, Any] = {
    "1-byte chunks": one_byte_each,
    "7-byte chunks": split_in_characters,
    "CR only": lambda events: lines(events, b"\r"),
    "CRLF": lambda events: lines(events, b"\r\n"),
    "BOM": lambda events: [b"\xef\xbb\xbf", *events],
    "comments": lambda events: [part for event in events for part in (b": hi\n\n", event)],
    "id, retry, unknown fields": with_fields,
    "no space after the colon": lambda events: [
        e.replace(b"data: ", b"data:").replace(b"event: ", b"event:") for e in events
    ],
    "blank lines": lambda events: [part for event in events for part in (b"\n\n\n", event)],
    "no blank line at the end": lambda events: [*events[:-1], events[-1].rstrip(b"\n")],
    "all at once": lambda events: [b"".join(events)],
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_stream_in_any_legal_form_is_read(caller: str, provider: str, odd: str) -> None:
    """E08: SSE allows it, so it is read, and told in plain form; text survives any cut."""
    events = answers.events(provider, ("Grü", "ße 🎈."))
    text = json.dumps("🎈").encode()[1:-1]
    events = [event.replace(text, "🎈".encode()) for event in events]
    async with open_journey([sse_reply(ODD[odd](events))], provider) as journey:
        answer = await journey.ask(caller)
    assert said(answer.body) == "Grüße 🎈."
    assert complete(answer.body, caller)
    assert b"\r" not in answer.body
    assert journey.event["stream_end"] == "done"


LONG: dict[str, list[Part]] = {
    "one 10 MB event": [b'data: {"id":"' + b"a" * (10 << 20) + b'"}\n\n'],
    "endless line": [b"data: ", *[b"a" * (1 << 16)] * 160],
    "endless comment": [b": ", *[b"a" * (1 << 16)] * 160],
    "many lines, no blank": [b"data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" * 300_000],
}


@pytest.mark.parametrize("long", LONG)
@pytest.mark.parametrize(("caller", "provider"), [("openai", "openai"), ("anthropic", "anthropic")])
async def test_an_event_over_1_mib_is_cut(caller: str, provider: str, long: str) -> None:
    """E09: an error event, the provider let go of, and nothing of it passed on."""
    script = [answers.stream(provider, keep=3, then=[0.02, *LONG[long]])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller)
        await journey.upstream.until_closed()
    assert len(answer.body) < 5_000
    broken(answer.body, caller)
    assert journey.event["code"] == "upstream_garbage"
    assert "1 MiB" in journey.event["detail"]


HTML = b"<html>canary-garbage</html>"


def plain(status: str, body: bytes, kind: str = "text/html", **headers: str) -> Answer:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return raw_reply([head.encode() + body])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        plain("200 OK", HTML),
        plain("200 OK", HTML, "application/json"),
        plain("200 OK", b"", "application/json"),
        plain("200 OK", b"[]", "application/json"),
        plain("200 OK", b'{"id":"canary-garbage"}', "application/json"),
        plain("200 OK", b'{"choices":7,"content":7}', "application/json"),
        plain("302 Found", HTML, location="http://127.0.0.1:1/canary-garbage"),
        plain("307 Temporary Redirect", b"", location="http://127.0.0.1:1/"),
        plain("304 Not Modified", b""),
        plain("204 No Content", b""),
        raw_reply([b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"]),
        raw_reply([b"canary-garbage\r\n\r\n"]),
        raw_reply([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"]),
    ],
    ids=lambda a: a.parts[0].split(b"\r\n")[0].decode() + f" {len(a.parts[0])}",
)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_what_is_no_answer_is_a_502(
    caller: str, provider: str, answer: Answer, stream: bool
) -> None:
    """E10: JSON of another shape, HTML, redirects (never followed), 101: mapped, not shown."""
    async with open_journey([answer], provider) as journey:
        got = await journey.ask(caller, stream=stream)
    assert got.status == 502
    assert b"canary-garbage" not in got.body
    if caller == "openai":
        assert got.code == "bad_upstream"
    assert journey.event["code"] == "bad_upstream"
    assert len(journey.upstream.requests) == 1


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_the_wrong_kind_of_answer_is_a_502(caller: str, provider: str) -> None:
    """E10: JSON to a stream call, an event stream to a plain call."""
    script = [answers.whole(provider), answers.stream(provider)]
    async with open_journey(script, provider) as journey:
        as_json = await journey.ask(caller, stream=True)
        as_events = await journey.ask(caller, stream=False)
    assert (as_json.status, as_events.status) == (502, 502)
    assert [event["code"] for event in journey.events] == ["bad_upstream", "bad_upstream"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("kind", "status"),
    [("rate_limit_error", 429), ("invalid_request_error", 400), ("no_such_type", 502)],
)
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_an_error_with_status_200_gets_its_status_back(
    caller: str, provider: str, kind: str, status: int, stream: bool
) -> None:
    """E10: "200 with error object"."""
    [error] = answers.error(provider, 200, kind, "It is so.").parts
    script = [raw_reply([error])]
    async with open_journey(script, provider) as journey:
        answer = await journey.ask(caller, stream=stream)
    assert answer.status == status
    assert answer.json["error"]["message"] == "It is so." or status == 502
    assert journey.event["status"] == status


async def test_a_body_over_the_limit_is_not_swallowed_for_a_refusal() -> None:
    """E10: a huge error body says no more than its status."""
    big = json_reply(b'{"error":{"message":"' + b"x" * (1 << 20) + b'"}}', 400)
    async with open_journey([big]) as journey:
        answer = await journey.ask(stream=False)
    assert answer.status == 400
    assert len(answer.body) < 1000
