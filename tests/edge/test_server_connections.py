"""The door and its connections: pipelining, the cap, and draining."""

import asyncio
import json

import msgspec
import pytest

from gateway.core.exchange import Exchange
from gateway.core.reply import Reply, Whole
from gateway.edge.server import open_edge
from gateway.settings import Limits
from tests.fakes.raw_client import STREAM, connect, get, post
from tests.fakes.service import USAGE, WHOLE, make_stream, open_house

KEY = "tk-acme-0123456789"
DONE = [b'data: {"a":1}\n\n', b"data: [DONE]\n\n"]


async def test_ten_requests_at_once_are_answered_in_order_each_with_its_own_key() -> None:
    """D13."""
    requests = [
        post(x_api_key=KEY if n % 3 else "wrong", x_stainless_retry_count=str(n)) for n in range(10)
    ]
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        client.send(b"".join(requests))
        answers = [await client.answer() for _ in requests]
    assert [a.status for a in answers] == [200 if n % 3 else 401 for n in range(10)]
    assert [a.headers["x-request-id"] for a in answers] == [f"req-{n:04}" for n in range(1, 11)]
    assert len(house.chain.exchanges) == 6


async def test_more_pipelined_requests_than_are_queued_are_all_answered() -> None:
    """D13."""
    async with open_house() as house, connect(house.port) as client:
        client.send(post() * 100)
        answers = [await client.answer() for _ in range(100)]
    assert {a.status for a in answers} == {200}
    assert len(house.outcomes) == 100


async def test_an_unauthorised_body_that_is_still_coming_closes_the_connection() -> None:
    """D13: what follows is never read as a request."""
    async with open_house(keys={"acme": KEY}) as house, connect(house.port) as client:
        client.send(post(content_length="1000"))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        client.send(post(x_api_key=KEY) * 3)
        assert await client.closed() == b""
    assert len(house.outcomes) == 1


async def test_an_http_1_0_client_gets_its_answer_and_the_end_of_the_connection() -> None:
    async with open_house() as house, connect(house.port) as client:
        whole = await client.ask(post(version="1.0"))
        assert whole.headers["connection"] == "close"
        assert await client.closed() == b""
        house.chain.reply = make_stream(DONE)
        async with connect(house.port) as second:
            stream = await second.ask(post(STREAM, version="1.0"))
    assert whole.body == WHOLE.body
    assert "transfer-encoding" not in stream.headers
    assert stream.body.endswith(DONE[1])


async def test_a_connection_above_the_cap_is_refused_at_once() -> None:
    """D12, I06."""
    limits = Limits(connections=2)
    async with (
        open_house(limits=limits) as house,
        connect(house.port) as first,
        connect(house.port) as second,
    ):
        assert (await first.ask(get("/livez"))).status == 200
        assert (await second.ask(get("/livez"))).status == 200
        async with connect(house.port) as third:
            answer = await third.answer()
            assert (answer.status, answer.code) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            assert await third.closed() == b""
        first.vanish()
        await asyncio.sleep(0.05)
        async with connect(house.port) as fourth:
            assert (await fourth.ask(get("/livez"))).status == 200


async def test_a_drain_lets_requests_end_and_closes_idle_connections() -> None:
    """I01."""
    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> Reply:
        await go_on.wait()
        return Whole(b"{}", usage=USAGE)

    async with (
        open_house(slow) as house,
        connect(house.port) as busy,
        connect(house.port) as idle,
    ):
        assert (await idle.ask(get("/livez"))).status == 200
        busy.send(post())
        await house.until_asked()
        drain = asyncio.create_task(house.edge.drain())
        assert await idle.closed() == b""
        assert not house.service.readiness.ready()
        with pytest.raises(OSError):
            async with connect(house.port):
                pass
        assert not drain.done()
        go_on.set()
        answer = await busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await drain


async def test_a_drain_cuts_what_does_not_end_and_a_second_one_cuts_at_once() -> None:
    """I01."""
    for second_call in (False, True):
        stuck = make_stream([DONE[0], asyncio.Event()])
        limits = Limits(drain=10)
        async with open_house(stuck, limits=limits) as house, connect(house.port) as client:
            client.send(post(STREAM))
            await client.head()
            await client.chunk()
            drain = asyncio.create_task(house.edge.drain())
            await asyncio.sleep(0.01)
            if second_call:
                await house.edge.drain()
            else:
                await house.clock.advance(10)
            event = await client.chunk()
            assert json.loads(event.partition(b"data: ")[2])["error"]["code"] == "draining"
            assert await client.chunk() == b""
            await drain
        assert stuck.blocks.closed.is_set()  # type: ignore[attr-defined]
        assert house.outcomes[0].code == "draining"


async def test_a_request_that_waits_is_answered_503_when_the_drain_is_over() -> None:
    async def forever(exchange: Exchange) -> Reply:
        await asyncio.Event().wait()
        return WHOLE

    async with open_house(forever) as house, connect(house.port) as client:
        client.send(post())
        await house.until_asked()
        drain = asyncio.create_task(house.edge.drain())
        await asyncio.sleep(0.01)
        await house.clock.advance(30)
        answer = await client.answer()
        assert (answer.status, answer.code) == (503, "draining")
        assert "x-should-retry" not in answer.headers
        await drain


async def test_a_port_that_is_taken_is_an_os_error() -> None:
    async with open_house() as house:
        with pytest.raises(OSError):
            async with open_edge(house.service, "127.0.0.1", house.port):
                pass


async def test_half_a_body_is_never_followed_by_an_error() -> None:
    """I01: a drain that cuts a whole answer breaks the connection instead."""
    big = Whole(b'"' + b"x" * (8 << 20) + b'"')
    async with open_house(big) as house, connect(house.port, window=4096) as client:
        client.send(post(x_turnout_deadline_ms="5000"))
        await house.until_asked()
        await asyncio.sleep(0.1)
        await house.clock.advance(6)  # the deadline is for the answer, not for its reader
        assert house.edge.in_flight == 1
        drain = asyncio.create_task(house.edge.drain())
        await asyncio.sleep(0.01)
        await house.edge.drain()
        await drain
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.answer()
    assert house.outcomes[0].code == "draining"


async def test_a_page_asked_for_with_half_a_body_closes_the_connection() -> None:
    async with open_house() as house, connect(house.port) as client:
        answer = await client.ask(get("/livez", content_length="10"))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.closed() == b""
    del house


async def test_an_outcome_that_cannot_be_reported_costs_no_more_than_its_connection() -> None:
    def broken(outcome: object) -> None:
        raise ZeroDivisionError

    async with open_house() as house:
        service = msgspec.structs.replace(house.service, report=broken)
        async with open_edge(service, "127.0.0.1", 0) as edge, connect(edge.port) as client:
            assert (await client.ask(get("/livez"))).status == 200
            assert await client.closed() == b""
            assert edge.in_flight == 0
            async with connect(edge.port) as another:
                assert (await another.ask(get("/livez"))).status == 200
