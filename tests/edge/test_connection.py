"""Connections over raw sockets: what is refused, and how long each phase may take."""

import asyncio
import os

import pytest

from gateway.core.exchange import Exchange
from gateway.core.reply import Reply, Whole
from gateway.edge.connection import _unsent
from gateway.settings import Limits
from tests.fakes.raw_client import CHAT, STREAM, connect, get, post
from tests.fakes.service import WHOLE, make_stream, open_house
from tests.fakes.smuggling import LENGTH, MARK, PLAIN


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"".join(b"h%d: v\r\n" % n for n in range(129)), {431}),
        (b"long: " + MARK + b"v" * 8200 + b"\r\n", {431}),
        (MARK + b"n" * 8200 + b": v\r\n", {431}),
        (b"".join(b"h%d: %b\r\n" % (n, b"v" * 8000) for n in range(9)), {431}),
        (b"".join(b"h%d: %b\r\n" % (n, b"v" * 8000) for n in range(100)), {431}),
    ],
)
async def test_too_many_header_bytes_are_refused(head: bytes, statuses: set[int]) -> None:
    """D04."""
    async with open_house() as house, connect(house.port) as client:
        client.send(PLAIN + head)
        client.send(b"content-length: " + LENGTH + b"\r\n\r\n" + CHAT)
        answer = await client.answer()
        assert answer.status in statuses
        assert MARK not in answer.body
        assert b"vvvv" not in answer.body
    assert not house.chain.exchanges


async def test_headers_without_an_end_are_refused_at_the_limit() -> None:
    """D04."""
    async with open_house() as house, connect(house.port) as client:
        client.send(PLAIN + b"".join(b"h%d: %b\r\n" % (n, b"v" * 8000) for n in range(9)))
        assert (await client.answer()).status == 431
        assert await client.closed() == b""
    assert len(house.outcomes) == 1


async def test_garbage_behind_a_request_is_kept_once() -> None:
    """D02: what follows bytes that are no HTTP is not read at all."""
    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> Reply:
        await go_on.wait()
        return WHOLE

    async with open_house(slow) as house, connect(house.port) as client:
        client.send(post())
        await house.until_asked()
        for _ in range(3):
            client.send(b"garbage\r\n\r\n")
            await asyncio.sleep(0.01)
        (connection,) = house.edge.connections_open
        assert len(connection._arrived) == 1
        go_on.set()
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert await client.closed() == b""


async def test_headers_just_below_the_limit_are_read() -> None:
    """D04."""
    async with open_house() as house, connect(house.port) as client:
        lines = {f"h{n}": "v" * 7900 for n in range(8)}
        assert (await client.ask(post(**lines))).status == 200
        client.send(post() + post(**{f"h{n}": "v" * 8000 for n in range(9)}) + post())
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 431
        assert await client.closed() == b""
    assert len(house.outcomes) == 3


@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        (b"http://evil.example/v1/models", {400}),
        (b"http://gateway/v1/models", {400}),
        (b"//v1/models", {404}),
        (b"/v1/%2e%2e/v1/models", {404}),
        (b"/v1/../v1/models", {404}),
        (b"/v1/%00", {404}),
        (b"/%zz", {404}),
        (b"/v1/models#" + MARK, {400}),
        (b"*", {400}),
        (b"v1/models", {400}),
        (b"/\xff\xfe", {400, 404}),
        (b"/" + b"a" * 16_000, {400, 431}),
        (b"/" + MARK, {404}),
    ],
)
async def test_odd_targets_lead_nowhere(target: bytes, statuses: set[int]) -> None:
    """D17: and their label is never the raw path."""
    async with open_house() as house, connect(house.port) as client:
        client.send(b"GET " + target + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = await client.answer()
    assert answer.status in statuses
    assert MARK not in answer.body
    assert house.outcomes[0].endpoint == "other"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/v1/models", upgrade="websocket", connection="upgrade"), 426),
        (get("/v1/models", upgrade="h2c", connection="Upgrade, HTTP2-Settings"), 426),
        (post(upgrade="tunnel", connection="upgrade"), 426),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n", 400),
        (get("/v1/models", "TRACE"), 405),
        (get("/v1/chat/completions", "OPTIONS"), 405),
    ],
)
async def test_nothing_becomes_a_tunnel(request_: bytes, status: int) -> None:
    """D16."""
    async with open_house() as house, connect(house.port) as client:
        client.send(request_)
        assert (await client.answer()).status == status
        client.send(b"\x81\x05hello")
        await client.closed()
    assert not house.chain.exchanges


async def test_a_silent_connection_is_closed_after_10_seconds() -> None:
    """D12."""
    async with open_house() as house, connect(house.port) as client:
        await asyncio.sleep(0.02)
        await house.clock.advance(9)
        assert house.edge.connections_open
        await house.clock.advance(1)
        assert await client.closed() == b""
    assert not house.outcomes


async def test_a_kept_connection_is_closed_after_60_idle_seconds() -> None:
    """D12."""
    async with open_house() as house, connect(house.port) as client:
        for _ in range(3):
            assert (await client.ask(post())).status == 200
            await house.clock.advance(59)
        assert house.edge.connections_open
        await house.clock.advance(1)
        assert await client.closed() == b""
    assert len(house.outcomes) == 3


async def test_one_task_serves_all_requests_of_a_connection_and_ends_with_it() -> None:
    async with open_house() as house, connect(house.port) as client:
        servers = []
        for _ in range(3):
            client.send(post())
            assert (await client.answer()).status == 200
            servers += [each.server for each in house.edge.connections_open if not each.task]
        assert len(servers) == 3
        assert len(set(servers)) == 1
        (connection,) = house.edge.connections_open
        client.reset()
        async with asyncio.timeout(5):
            while connection.server is not None:
                await asyncio.sleep(0)


async def test_headers_that_drip_are_answered_408_after_10_seconds() -> None:
    """D09."""
    async with open_house() as house, connect(house.port) as client:
        for byte in (b"P", b"O", b"S"):
            client.send(byte)
            await asyncio.sleep(0.01)
            await house.clock.advance(3)
        await house.clock.advance(1)
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await client.closed() == b""
    assert house.outcomes[0].status == 408


async def test_a_second_request_that_drips_is_answered_408_too() -> None:
    """D09."""
    async with open_house() as house, connect(house.port) as client:
        client.send(post() + b"GET /v1")
        assert (await client.answer()).status == 200
        client.send(b"/mod")
        await asyncio.sleep(0.02)
        await house.clock.advance(10)
        assert (await client.answer()).status == 408


async def test_a_body_that_drips_is_answered_408_after_10_seconds() -> None:
    """D10."""
    async with open_house() as house, connect(house.port) as client:
        client.send(post(content_length="5000"))
        for _ in range(9):
            await asyncio.sleep(0.01)
            await house.clock.advance(1)
            client.send(b" ")
        await house.clock.advance(1)
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await client.closed() == b""
    assert not house.chain.exchanges


async def test_a_slow_body_that_keeps_its_rate_is_read() -> None:
    """D10."""
    pause = Limits(body_grace=1)
    body = CHAT + b" " * 1000
    async with open_house(limits=pause) as house, connect(house.port) as client:
        client.send(post(body)[: -len(body)])
        for start in range(0, len(body), 200):
            client.send(body[start : start + 200])
            await asyncio.sleep(0.02)
            await house.clock.advance(1)
        assert (await client.answer()).status == 200
    assert house.chain.exchanges[0].request.body == body


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
async def test_a_good_request_is_told_to_continue(expect: str) -> None:
    """D15."""
    async with open_house(keys={"acme": "tk-acme-0123"}) as house, connect(house.port) as client:
        client.send(post(expect=expect, x_api_key="tk-acme-0123")[: -len(CHAT)])
        assert await client.head() == (100, {})
        client.send(CHAT)
        assert (await client.answer()).status == 200
        at_once = await client.ask(post(expect=expect, x_api_key="tk-acme-0123"))
        assert at_once.status == 200
    del house


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"expect": "100-continue"}, 401),
        (
            {"expect": "100-continue", "x_api_key": "tk-acme-0123", "content_length": "99999999"},
            413,
        ),
        ({"expect": "200-ok", "x_api_key": "tk-acme-0123"}, 417),
        ({"expect": "100-continue", "x_api_key": "tk-acme-0123", "content_type": "a/b"}, 415),
    ],
)
async def test_a_request_that_will_be_refused_is_never_told_to_continue(
    headers: dict[str, str], status: int
) -> None:
    """D15."""
    async with open_house(keys={"acme": "tk-acme-0123"}) as house, connect(house.port) as client:
        client.send(post(**headers)[: -len(CHAT)])
        assert (await client.answer()).status == status
    del house


async def test_a_reader_that_takes_nothing_is_cut_off_after_30_seconds() -> None:
    """D11."""
    big = Whole(b'"' + b"x" * (8 << 20) + b'"')
    async with open_house(big) as house, connect(house.port, window=4096) as client:
        client.send(post())
        await house.until_asked()
        await asyncio.sleep(0.1)
        await house.clock.advance(29)
        assert not house.outcomes
        await house.clock.advance(31)
        outcome = await house.until_reported()
        assert outcome.code == "client_gone"
    assert not house.edge.connections_open


async def test_a_slow_reader_that_takes_something_is_not_cut_off() -> None:
    """D11, E04."""
    big = Whole(b'"' + b"x" * (4 << 20) + b'"')
    async with open_house(big) as house, connect(house.port, window=4096) as client:
        client.send(post())
        await house.until_asked()
        await asyncio.sleep(0.1)
        for _ in range(10):
            await client.reader.read(100_000)
            await asyncio.sleep(0.05)
            await house.clock.advance(20)
        assert house.edge.connections_open
        while not house.outcomes:
            await client.reader.read(1 << 20)
    assert house.outcomes[0].status == 200


async def test_half_close_means_cancel() -> None:
    """D14: documented in the module; the stream is closed, nothing more is sent."""
    stream = make_stream([b'data: {"a":1}\n\n', asyncio.Event()])
    async with open_house(stream) as house, connect(house.port) as client:
        client.send(post(STREAM))
        await client.head()
        await client.chunk()
        client.half_close()
        outcome = await house.until_reported()
    assert stream.blocks.closed.is_set()  # type: ignore[attr-defined]
    assert (outcome.status, outcome.code) == (499, "client_gone")


async def test_the_last_answer_reaches_a_client_that_is_still_sending() -> None:
    """The connection lingers, so that no reset overtakes the answer."""
    async with open_house() as house, connect(house.port) as client:
        client.send(post(content_length="99999999"))
        for _ in range(50):
            client.send(b"x" * 65_536)
        answer = await client.answer()
        assert answer.status == 413
        assert await client.closed() == b""


async def test_a_client_that_never_stops_sending_is_cut_off() -> None:
    async with open_house() as house, connect(house.port) as client:
        client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        await asyncio.sleep(0.02)
        assert house.edge.connections_open
        await house.clock.advance(2)
        await asyncio.sleep(0.02)
        assert not house.edge.connections_open


class Unasked:
    """A transport over something that cannot say what it has not sent."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def get_extra_info(self, name: str) -> object:
        return self

    def fileno(self) -> int:
        return self.descriptor

    def get_write_buffer_size(self) -> int:
        return 7


def test_where_the_kernel_does_not_tell_our_own_buffer_counts() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    transport: asyncio.Transport = Unasked(descriptor)  # type: ignore[assignment]
    try:
        assert _unsent(transport) == 7
    finally:
        os.close(descriptor)
    assert _unsent(None) == 0
