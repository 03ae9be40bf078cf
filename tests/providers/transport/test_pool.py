"""How many connections there are, who gets one, and which are used again."""

import asyncio
from collections.abc import Awaitable

import pytest

from gateway.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout
from gateway.providers.transport.client import Response, Transport, TransportConfig
from tests.fakes.clock import FakeClock, settle
from tests.fakes.transports import FAR, open_transport
from tests.fakes.upstream import (
    CUT,
    RESET,
    STALL,
    Answer,
    Mark,
    Received,
    json_reply,
    open_upstream,
    raw_reply,
    sse_reply,
)

TWO = TransportConfig(total_connections=2, idle_connections=2)
ONE = TransportConfig(total_connections=1)


def ask(transport: Transport, path: str = "/x", deadline: float = FAR) -> Awaitable[Response]:
    return transport.request("POST", path, b"{}", deadline=deadline)


async def finish(transport: Transport, path: str = "/x") -> bytes:
    return await (await ask(transport, path)).read()


async def test_never_more_connections_than_allowed() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url, TWO) as transport:
        answers = await asyncio.gather(*(finish(transport) for _ in range(20)))
        assert answers == [b"{}"] * 20
        assert up.connections == 2
        assert transport.stats.opened == 2
        assert transport.stats.reused == 18
        assert transport.stats.in_use == 0
        assert transport.stats.idle == 2


async def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    config = TransportConfig(idle_connections=2)
    async with open_upstream([json_reply({})]) as up, open_transport(up.url, config) as transport:
        responses = await asyncio.gather(*(ask(transport) for _ in range(5)))
        assert transport.stats.in_use == 5
        for response in responses:
            await response.read()
        await up.until_closed(3)
        assert transport.stats.idle == 2


async def test_who_waits_longest_is_served_first() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url, ONE) as transport:
        first = await ask(transport)
        waiting = []
        for name in "abcde":
            waiting.append(asyncio.ensure_future(finish(transport, f"/{name}")))
            await settle()
        await first.read()
        await asyncio.gather(*waiting)
        assert [r.path for r in up.requests] == [
            "/v1/x",
            "/v1/a",
            "/v1/b",
            "/v1/c",
            "/v1/d",
            "/v1/e",
        ]
        assert up.connections == 1


async def test_a_slot_without_its_connection_also_goes_to_the_longest_waiter() -> None:
    async with (
        open_upstream([sse_reply([b"x", STALL]), json_reply({})]) as up,
        open_transport(up.url, ONE) as transport,
    ):
        first = await ask(transport)
        waiting = [asyncio.ensure_future(finish(transport, f"/{name}")) for name in "ab"]
        await settle()
        first.close()
        await asyncio.gather(*waiting)
        assert [r.path for r in up.requests] == ["/v1/x", "/v1/a", "/v1/b"]
        assert transport.stats.in_use == 0


async def test_waiting_for_a_slot_ends_at_the_deadline() -> None:
    clock = FakeClock()
    async with (
        open_upstream([json_reply({})]) as up,
        open_transport(up.url, ONE, clock=clock) as transport,
    ):
        first = await ask(transport)
        waiting = asyncio.ensure_future(ask(transport, deadline=clock.monotonic() + 3))
        await clock.advance(2.9)
        assert not waiting.done()
        await clock.advance(0.2)
        with pytest.raises(UpstreamTimeout) as caught:
            await waiting
        assert caught.value.code == "upstream_pool_timeout"
        await first.read()
        assert transport.stats.in_use == 0
        assert await finish(transport) == b"{}"


@pytest.mark.parametrize("clean", [True, False])
async def test_a_waiter_that_leaves_passes_its_slot_on(clean: bool) -> None:
    async with (
        open_upstream([sse_reply([b"x"] if clean else [b"x", STALL]), json_reply({})]) as up,
        open_transport(up.url, ONE) as transport,
    ):
        first = await ask(transport)
        early = asyncio.ensure_future(ask(transport))
        late = asyncio.ensure_future(finish(transport))
        leaver = asyncio.ensure_future(ask(transport))
        await settle()
        leaver.cancel()
        await settle()
        if clean:
            await first.read()
        else:
            first.close()
        early.cancel()  # its slot has been handed over, but it has not run yet
        assert await late == b"{}"
        assert early.cancelled()
        assert transport.stats.in_use == 0
        assert len(up.requests) == 2


async def test_a_kept_connection_that_dies_while_handed_over_is_replaced() -> None:
    async with (
        open_upstream([raw_reply([json_reply({}).parts[0], CUT]), json_reply({})]) as up,
        open_transport(up.url, ONE) as transport,
    ):
        first = await ask(transport)
        waiting = asyncio.ensure_future(finish(transport))
        await settle()
        await first.read()
        assert await waiting == b"{}"
        assert len(up.requests) == 2


async def test_an_unused_connection_is_closed_after_its_time() -> None:
    clock = FakeClock()
    config = TransportConfig(keep_idle=55)
    async with (
        open_upstream([json_reply({})]) as up,
        open_transport(up.url, config, clock=clock) as transport,
    ):
        await finish(transport)
        await clock.advance(54)
        assert await finish(transport) == b"{}"
        await clock.advance(54)
        assert up.connections == 1
        await clock.advance(2)
        await up.until_closed()
        assert transport.stats.idle == 0
        assert await finish(transport) == b"{}"
        assert up.connections == 2


@pytest.mark.parametrize("how", [CUT, RESET])
async def test_a_kept_connection_that_dies_unanswered_is_replaced_once(how: Mark) -> None:
    script = [json_reply({}), raw_reply([how]), json_reply({"again": 1})]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        await finish(transport)
        response = await ask(transport)
        assert await response.read() == b'{"again": 1}'
        assert response.reused is False
        assert up.connections == 2
        assert transport.stats.in_use == 0


async def test_a_kept_connection_that_dies_later_than_a_trip_takes_has_had_the_request() -> None:
    """A second POST would be billed twice, and a poisoned prompt would kill a second worker."""
    script = [json_reply({}), raw_reply([1.0, CUT]), json_reply({"again": 1})]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        await finish(transport)
        with pytest.raises(UpstreamBroken) as caught:
            await ask(transport)
        assert caught.value.code == "upstream_reset"
        assert len(up.requests) == 2


async def test_warm_connections_that_were_closed_are_opened_again() -> None:
    clock, script = FakeClock(), [json_reply({})]
    async with open_upstream(script) as up, open_transport(up.url, clock=clock) as transport:
        await transport.warm(2)
        keeping = asyncio.ensure_future(transport.keep_warm(2))
        await clock.advance(56)
        await up.until_closed()
        assert (transport.stats.opened, transport.stats.idle) == (2, 0)
        await clock.advance(10)
        async with asyncio.timeout(5):
            while transport.stats.idle < 2:
                await asyncio.sleep(0.01)
        assert transport.stats.opened == 4
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_fresh_connection_that_dies_is_not_tried_again() -> None:
    script = [json_reply({}), raw_reply([CUT])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        await finish(transport)
        with pytest.raises(UpstreamBroken) as caught:
            await ask(transport)
        assert caught.value.code == "upstream_reset"
        assert len(up.requests) == 3
        assert transport.stats.in_use == 0


async def test_a_kept_connection_that_dies_after_a_byte_is_not_replaced() -> None:
    script = [json_reply({}), raw_reply([b"H", CUT])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        await finish(transport)
        with pytest.raises(UpstreamBroken):
            await ask(transport)
        assert len(up.requests) == 2


async def test_a_timeout_is_not_tried_again() -> None:
    script = [json_reply({}), raw_reply([STALL])]
    async with open_upstream(script) as up, open_transport(up.url) as transport:
        await finish(transport)
        with pytest.raises(UpstreamTimeout):
            await transport.request("POST", "/x", b"{}", deadline=FAR, first_byte=0.05)
        assert len(up.requests) == 2


async def test_cancelling_a_request_closes_its_socket() -> None:
    async with open_upstream([raw_reply([STALL])]) as up, open_transport(up.url) as transport:
        asking = asyncio.ensure_future(ask(transport))
        await up.until_received()
        asking.cancel()
        async with asyncio.timeout(0.25):
            await up.until_closed()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert transport.stats.in_use == 0


async def test_warm_connections_are_there_before_the_first_request() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        await transport.warm(3)
        await up.until_connected(3)
        assert transport.stats.idle == 3
        await transport.warm(3)
        assert transport.stats.opened == 3
        response = await ask(transport)
        assert response.reused
        await response.read()
        assert up.connections == 3


async def test_warming_keeps_to_the_limits() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url, TWO) as transport:
        await transport.warm(50)
        assert transport.stats.idle == 2


async def test_warming_says_when_the_upstream_is_down() -> None:
    async with open_upstream([json_reply({})]) as up:
        url = up.url
    async with open_transport(url) as transport:
        with pytest.raises(UpstreamBroken) as caught:
            await transport.warm(2)
        assert caught.value.code == "upstream_refused_connection"
        assert transport.stats.in_use == 0


async def test_a_warm_connection_that_its_server_closed_is_replaced() -> None:
    def script(request: Received) -> Answer:
        return json_reply({})

    async with open_upstream(script) as up, open_transport(up.url) as transport:
        await transport.warm(1)
        await up.until_connected()
        up.drop_connections()
        assert await finish(transport) == b"{}"
        assert up.connections == 2


async def test_closing_ends_every_request_and_every_wait() -> None:
    async with (
        open_upstream([sse_reply([b"x", STALL])]) as up,
        open_transport(up.url, ONE) as transport,
    ):
        response = await ask(transport)
        waiting = asyncio.ensure_future(ask(transport))
        await settle()
        await transport.aclose()
        await up.until_closed()
        with pytest.raises(UpstreamError):
            await waiting
        assert await response.chunk() == b"x"
        with pytest.raises(UpstreamError):
            await response.chunk()
        with pytest.raises(UpstreamError):
            await ask(transport)
        assert transport.stats.in_use == transport.stats.idle == 0


async def test_a_connection_made_while_closing_is_closed() -> None:
    async with open_upstream([json_reply({})]) as up, open_transport(up.url) as transport:
        asking = asyncio.ensure_future(ask(transport))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(UpstreamError):
            await asking
        await up.until_closed()
        assert up.requests == []
