"""Providers that fall silent, before the first token and after it, or cannot be reached at all."""

import asyncio
import functools
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager

import pytest

import gateway.app
from gateway.edge.service import Service
from tests.fakes import answers
from tests.fakes.upstream import STALL, Part, open_upstream, raw_reply, sse_reply
from tests.journeys.journey import QUADRANTS, broken, complete, open_journey

PATIENCE = {"first_byte": 0.3, "idle": 0.3}
LATE = "deadline_exceeded"
"""Whether the door or the transport is the first to notice it."""
SIGNS = {"openai": b": keep-alive\n\n", "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n'}


@asynccontextmanager
async def open_server_without_tls(*, reset: bool) -> AsyncIterator[int]:
    """Answer whatever comes with a plain 400, or with a reset; yield the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if reset:
            writer.transport.abort()
        else:
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("silent", ["no head", "no event", "no content"])
@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_stall_before_the_first_token_is_a_504(
    caller: str, provider: str, silent: str
) -> None:
    """E05: nothing was sent yet, so it is plain JSON with a status, and the socket is closed."""
    script = {
        "no head": raw_reply([STALL]),
        "no event": sse_reply([STALL]),
        "no content": answers.stream(provider, keep=1, then=[STALL]),
    }[silent]
    async with open_journey([script], provider, transport=PATIENCE) as journey:
        answer = await journey.ask(caller)
        await journey.upstream.until_closed()
    assert answer.status == 504
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["error"]["type"] == (
        "server_error" if caller == "openai" else "timeout_error"
    )
    event = journey.event
    first = "upstream_first_byte_timeout" if silent == "no head" else "upstream_idle"
    assert (event["status"], event["code"], event["fault"]) == (504, first, "upstream")
    assert event["attempts"] == 1


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_a_stall_in_the_middle_is_bridged_then_told(
    caller: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E06: signs of life, then at the idle limit one error event, and never [DONE]."""
    monkeypatch.setattr(gateway.app, "Service", functools.partial(Service, keepalive=0.1))
    script = [answers.stream(provider, keep=3, then=[STALL])]
    async with open_journey(script, provider, transport={"idle": 0.8}) as journey:
        answer = await journey.ask(caller)
        await journey.upstream.until_closed()
    assert answer.status == 200
    assert answer.body.count(SIGNS[caller]) >= 2
    broken(answer.body, caller)
    if caller == "openai":
        assert b'"code":"upstream_idle"' in answer.body
        assert b"event: ping" not in answer.body
    event = journey.event
    assert (event["code"], event["stream_end"], event["stream_code"]) == (
        "upstream_idle",
        "upstream_cut",
        "upstream_idle",
    )
    assert event["attempts"] == 1
    assert event["longest_gap_ms"] >= 500


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
async def test_a_stream_that_pauses_and_goes_on_is_complete(
    caller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E06: signs of life do no harm to a stream that only paused."""
    monkeypatch.setattr(gateway.app, "Service", functools.partial(Service, keepalive=0.05))
    events = answers.events(caller)
    script = [sse_reply([*events[:4], 0.4, *events[4:]])]
    async with open_journey(script, caller) as journey:
        answer = await journey.ask(caller)
    assert SIGNS[caller] in answer.body
    assert complete(answer.body, caller)
    assert journey.event["stream_end"] == "done"
    told = re.search(rb": turnout .*overhead-ms=([0-9.]+)\n", answer.body)
    assert told, "the time that no provider is to blame for is told, and is never negative"
    assert float(told[1]) < 300 < journey.event["upstream_ms"]


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS)
async def test_the_requests_deadline_ends_a_stream_that_never_stalls(
    caller: str, provider: str
) -> None:
    """E06: a drip is not idle, but the deadline holds; the provider is let go of."""
    events = answers.events(provider)
    drip: list[Part] = [part for _ in range(200) for part in (events[2], 0.05)]
    script = [sse_reply([*events[:3], *drip])]
    async with open_journey(script, provider, limits={"request": 0.8}) as journey:
        answer = await journey.ask(caller)
        await journey.upstream.until_closed()
    broken(answer.body, caller)
    event = journey.event
    assert event["status"] == 200
    assert event["code"] == LATE


async def test_a_deadline_is_not_noted_as_a_client_that_left() -> None:
    """E06: how the stream ended agrees with why the request failed."""
    script = [answers.stream("openai", keep=3, then=[STALL])]
    async with open_journey(script, limits={"request": 0.3}) as journey:
        await journey.ask()
    event = journey.event
    assert event["code"] == LATE
    assert event["stream_end"] != "client_gone"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("caller", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("refused", "upstream_refused_connection"),
        ("no such name", "upstream_dns"),
        ("no TLS there", "upstream_tls"),
        ("handshake reset", "upstream_tls"),
    ],
)
async def test_an_upstream_that_cannot_be_reached_says_why(
    caller: str, fault: str, code: str, stream: bool
) -> None:
    """E05: 502 within the connect budget, a code of its own for each cause."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        port = taken.getsockname()[1]
        async with open_server_without_tls(reset="reset" in fault) as plain:
            url = {
                "refused": f"http://127.0.0.1:{port}/v1",
                "no such name": "http://nowhere.invalid/v1",
                "no TLS there": f"https://127.0.0.1:{plain}/v1",
                "handshake reset": f"https://127.0.0.1:{plain}/v1",
            }[fault]
            budget = {"connect": 3}
            script = [answers.whole("openai")]
            async with open_journey(script, base_url=url, transport=budget) as journey:
                answer = await journey.ask(caller, stream=stream)
    assert answer.status == 502
    if caller == "openai":
        assert answer.code == code
    assert answer.json["error"]["type"] == ("server_error" if caller == "openai" else "api_error")
    event = journey.event
    assert (event["code"], event["fault"], event["attempts"]) == (code, "upstream", 1)
    assert event["duration_ms"] < 3500
    assert not journey.upstream.requests


async def test_a_connect_that_hangs_ends_with_the_connect_budget() -> None:
    """E05: a TLS handshake that nobody answers is a 504 of its own."""
    async with open_upstream([raw_reply([STALL])]) as silent:
        url = f"https://127.0.0.1:{silent.port}/v1"
        script = [answers.whole("openai")]
        async with open_journey(script, base_url=url, transport={"connect": 0.3}) as journey:
            answer = await journey.ask()
    assert (answer.status, answer.code) == (504, "upstream_connect_timeout")


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port that answers no SYN: its queue of connections to accept is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_connect_that_nobody_answers_ends_with_the_connect_budget(stream: bool) -> None:
    """E05: neither refused nor accepted, as behind a firewall that drops what comes."""
    with black_hole() as port:
        url = f"http://127.0.0.1:{port}/v1"
        script = [answers.whole("openai")]
        async with open_journey(script, base_url=url, transport={"connect": 0.3}) as journey:
            answer = await journey.ask(stream=stream)
    assert (answer.status, answer.code) == (504, "upstream_connect_timeout")
    assert journey.event["attempts"] == 1
    assert not journey.upstream.requests


@pytest.mark.parametrize(("caller", "provider"), QUADRANTS[1:3])
async def test_a_whole_answer_is_bound_by_the_deadline_only(caller: str, provider: str) -> None:
    """E05: a slow whole answer may take longer than a stream's first byte; its deadline ends it."""
    slow = answers.whole(provider)
    script = [raw_reply([0.6, *slow.parts]), raw_reply([STALL])]
    async with open_journey(
        script, provider, transport=PATIENCE, limits={"request": 1.5}
    ) as journey:
        answer = await journey.ask(caller, stream=False)
        late = await journey.ask(caller, stream=False)
        await journey.upstream.until_closed()
    assert answer.status == 200
    assert late.status == 504
