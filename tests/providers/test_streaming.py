"""Primed streams over real sockets: what may still be hidden, what is a cut, what is closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.core.errors import (
    StreamCut,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.core.meter import OpenAIMeter
from gateway.core.ports import Runtime
from gateway.core.reply import Answered, Stream
from gateway.core.sse import DONE
from gateway.providers.streaming import OK, open_stream, refuse, require_json
from gateway.providers.transport.client import Response, Transport, TransportConfig
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime, real_time_runtime
from tests.fakes.upstream import (
    CUT,
    RESET,
    STALL,
    Answer,
    Part,
    ScriptedUpstream,
    json_reply,
    open_upstream,
    raw_reply,
    sse_reply,
)

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
HI = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
HO = b'data: {"choices":[{"index":0,"delta":{"content":"ho"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
ERROR = b'data: {"error":{"type":"overloaded_error","message":"m"}}\n\n'
HOUR = 3600.0


class Line:
    """A transport to a scripted upstream, and one response of it opened as a stream."""

    def __init__(self, upstream: ScriptedUpstream, transport: Transport, runtime: Runtime) -> None:
        self.upstream = upstream
        self.transport = transport
        self.runtime = runtime

    async def ask(self, seconds: float = HOUR) -> Response:
        deadline = self.runtime.clock.monotonic() + seconds
        return await self.transport.request("POST", "/x", b"{}", deadline=deadline)

    async def open(self, seconds: float = HOUR) -> Stream:
        return await open_stream(
            await self.ask(seconds),
            OpenAIMeter(hide_usage=False),
            dialect="openai",
            answered=Answered(provider="p"),
            secrets=self.transport,
        )

    async def refused(self) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            await self.open()
        return caught.value


@asynccontextmanager
async def line(*answers: Answer, runtime: Runtime | None = None) -> AsyncIterator[Line]:
    runtime = runtime or real_time_runtime()
    async with open_upstream(answers) as upstream:
        transport = Transport(upstream.url, {}, runtime, TransportConfig())
        try:
            yield Line(upstream, transport, runtime)
        finally:
            await transport.aclose()


async def take(stream: Stream) -> tuple[bytes, UpstreamError | None]:
    """Read to the end; return what came and how it broke."""
    got = b""
    try:
        async for block in stream.blocks:
            assert block.endswith(b"\n\n")
            got += block
    except UpstreamError as error:
        return got, error
    return got, None


async def test_a_stream_arrives_byte_for_byte_and_is_counted() -> None:
    events = [b": hello\n\n", ROLE, HI, HO + END, DONE]
    async with line(sse_reply(events)) as it:
        stream = await it.open()
        got, error = await take(stream)
        assert (got, error) == (b"".join(events), None)
        tally = stream.tally
        assert (tally.clean, tally.finish, tally.size) == (True, "stop", len(got))
        assert tally.blocks >= 1
        assert (stream.dialect, stream.answered.provider) == ("openai", "p")


async def test_the_connection_of_a_finished_stream_is_used_again() -> None:
    async with line(sse_reply([HI, END, DONE])) as it:
        for _ in range(3):
            assert (await take(await it.open()))[1] is None
        assert it.upstream.connections == 1


async def test_the_stream_is_primed_when_content_is_there_not_before() -> None:
    go = asyncio.Event()
    async with line(sse_reply([ROLE, go, HI, STALL])) as it:
        opening = asyncio.ensure_future(it.open())
        await it.upstream.until_received()
        assert not opening.done()
        go.set()
        stream = await opening
        assert await stream.blocks.__anext__() == ROLE + HI
        await stream.blocks.aclose()


async def test_one_byte_at_a_time_gives_whole_events() -> None:
    data = (ROLE + HI + END + DONE).replace(b"\n", b"\r\n")
    async with line(sse_reply([data[i : i + 1] for i in range(len(data))])) as it:
        got, error = await take(await it.open())
        assert (got, error) == (ROLE + HI + END + DONE, None)


@pytest.mark.parametrize("end", [CUT, RESET])
async def test_a_connection_lost_before_content_may_be_tried_elsewhere(end: Part) -> None:
    async with line(sse_reply([ROLE, end])) as it:
        assert isinstance(await it.refused(), UpstreamBroken)


@pytest.mark.parametrize("end", [CUT, RESET])
async def test_a_connection_lost_after_content_is_a_cut(end: Part) -> None:
    pause = 0.05  # so that the reset does not overtake the content in the kernel
    async with line(sse_reply([HI, pause, end])) as it:
        stream = await it.open()
        got, error = await take(stream)
        assert got == HI
        assert isinstance(error, StreamCut)
        assert error.code == "upstream_truncated"
        assert not stream.tally.clean


async def test_a_proper_end_without_finish_is_a_cut_too() -> None:
    async with line(sse_reply([HI]), sse_reply([ROLE])) as it:
        got, error = await take(await it.open())
        assert (got, type(error)) == (HI, StreamCut)
        assert (await it.refused()).code == "upstream_truncated"


async def test_a_proper_end_after_the_finish_is_clean_without_done() -> None:
    async with line(sse_reply([HI, END.rstrip(b"\n")])) as it:
        stream = await it.open()
        assert await take(stream) == (HI + END + DONE, None)
        assert stream.tally.clean


async def test_a_providers_own_error_event_passes_and_what_follows_it_is_waited_for_shortly() -> (
    None
):
    async with line(sse_reply([HI, HO + ERROR + HO, STALL])) as it:
        stream = await it.open()
        got, error = await take(stream)
        assert got == HI + HO + ERROR + HO
        assert error is None
        assert stream.tally.error == "upstream_error"
        assert not stream.tally.clean
        await it.upstream.until_closed()


async def test_events_before_garbage_still_arrive() -> None:
    async with line(sse_reply([HI, HO + b"data: {\n\n" + HO, STALL])) as it:
        stream = await it.open()
        got, error = await take(stream)
        assert got == HI + HO
        assert isinstance(error, StreamCut)
        await it.upstream.until_closed()
        with pytest.raises(StreamCut):
            await stream.blocks.__anext__()


async def test_an_error_before_content_is_what_it_says() -> None:
    async with line(sse_reply([ROLE, ERROR, STALL])) as it:
        assert isinstance(await it.refused(), UpstreamBusy)
        await it.upstream.until_closed()


async def test_an_unfinished_last_event_that_is_garbage_is_a_cut() -> None:
    async with line(sse_reply([HI + b'data: {"choi'])) as it:
        got, error = await take(await it.open())
        assert got == HI
        assert error is not None
        assert error.code == "upstream_garbage"


async def test_an_endless_line_is_cut_at_one_mebibyte() -> None:
    flood = [b"x" * 65536] * 64
    async with line(sse_reply([HI, *flood, STALL])) as it:
        got, error = await take(await it.open())
        assert (got, error and error.code) == (HI, "upstream_garbage")
        await it.upstream.until_closed()


async def test_a_stream_that_never_says_anything_is_given_up_after_one_mebibyte() -> None:
    flood = [b": processing\n\n" * 5000] * 64
    async with line(sse_reply([*flood, STALL])) as it:
        assert (await it.refused()).code == "bad_upstream"
        await it.upstream.until_closed()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (json_reply({"choices": []}), UpstreamBroken),
        (json_reply({"error": {"code": 429, "message": "m"}}), UpstreamBusy),
        (json_reply({"error": {"type": "invalid_request_error"}}), UpstreamRefused),
        (json_reply(b"<html>", headers={"content-type": "text/html"}), UpstreamBroken),
        (json_reply(b"", headers={"content-type": "text/plain"}), UpstreamBroken),
    ],
)
async def test_an_answer_that_is_no_event_stream(answer: Answer, kind: type[UpstreamError]) -> None:
    async with line(answer) as it:
        error = await it.refused()
        assert type(error) is kind
        if kind is UpstreamBroken:
            assert (error.code, error.status) == ("bad_upstream", 502)


async def test_a_missing_content_type_is_forgiven() -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    async with line(raw_reply([head, HI + END + DONE, CUT])) as it:
        assert await take(await it.open()) == (HI + END + DONE, None)


async def test_closing_the_stream_closes_the_upstream_at_once() -> None:
    async with line(sse_reply([HI, STALL])) as it:
        stream = await it.open()
        await stream.blocks.__anext__()
        await stream.blocks.aclose()
        await it.upstream.until_closed()
        await stream.blocks.aclose()
        with pytest.raises(StopAsyncIteration):
            await stream.blocks.__anext__()


@pytest.mark.parametrize("before", [[], [ROLE]])
async def test_a_cancelled_opening_closes_the_upstream(before: list[bytes]) -> None:
    async with line(sse_reply([*before, STALL])) as it:
        opening = asyncio.ensure_future(it.open())
        await it.upstream.until_received()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await it.upstream.until_closed()


@pytest.mark.parametrize("first", [ROLE, HI])
async def test_a_silent_stream_times_out_before_and_after_content(first: bytes) -> None:
    clock = FakeClock()
    async with line(sse_reply([first, STALL]), runtime=make_runtime(clock)) as it:

        async def read() -> tuple[bytes, UpstreamError | None]:
            try:
                return await take(await it.open())
            except UpstreamError as error:
                return b"", error

        reading = asyncio.ensure_future(read())
        await it.upstream.until_received()
        got, error = await advance_until(clock, reading)
        assert got == (HI if first == HI else b"")
        assert isinstance(error, UpstreamTimeout)
        assert error.code == "upstream_idle"


async def advance_until(
    clock: FakeClock, reading: "asyncio.Future[tuple[bytes, UpstreamError | None]]"
) -> tuple[bytes, UpstreamError | None]:
    """Let virtual time pass slowly enough for real sockets to keep up."""
    async with asyncio.timeout(10):
        while not reading.done():
            await asyncio.sleep(0.01)
            await clock.advance(5)
    return reading.result()


async def test_the_deadline_ends_a_stream_that_never_pauses() -> None:
    clock, go = FakeClock(), asyncio.Event()
    async with line(sse_reply([HI, go, HO, STALL]), runtime=make_runtime(clock)) as it:
        stream = await it.open(seconds=10)
        clock.now += 11  # no timer rings: bytes keep coming
        go.set()
        _, error = await take(stream)
        assert isinstance(error, UpstreamTimeout)
        assert error.code == "upstream_timeout"
        await it.upstream.until_closed()


@pytest.mark.parametrize("rest", [[STALL], [0.05, RESET], [0.05, HO, STALL]])
async def test_after_done_nothing_can_go_wrong_any_more(rest: list[Part]) -> None:
    async with line(sse_reply([HI, END, DONE, *rest])) as it:
        stream = await it.open()
        assert await take(stream) == (HI + END + DONE, None)
        assert stream.tally.clean
        assert it.transport.stats.in_use == it.transport.stats.idle == 0


async def test_statuses_that_are_no_success_are_raised() -> None:
    body = {"error": {"message": "too long", "type": "invalid_request_error"}}
    async with line(
        json_reply(body, status=400), json_reply({}, status=302), sse_reply([CUT], status=503)
    ) as it:
        for kind in (UpstreamRefused, UpstreamBroken, UpstreamBusy):
            response = await it.ask()
            with pytest.raises(kind):
                await refuse(response, "openai", it.runtime)


async def test_a_whole_answer_must_claim_to_be_json() -> None:
    bare = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    async with line(
        json_reply({}), raw_reply([bare]), sse_reply([HI]), json_reply({}, status=201)
    ) as it:
        for _ in range(2):
            response = await it.ask()
            require_json(response)
            assert await response.read() == b"{}"
        with pytest.raises(UpstreamBroken) as caught:
            require_json(await it.ask())
        assert caught.value.code == "bad_upstream"
        response = await it.ask()
        assert response.status in OK
        require_json(response)
        assert await response.read() == b"{}"
