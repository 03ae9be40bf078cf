"""How long a connection waits: for a head, between bytes, and for all of it."""

import asyncio

import pytest

from gateway.core.errors import UpstreamTimeout
from gateway.providers.transport.client import TransportConfig
from tests.fakes.clock import FakeClock
from tests.fakes.transports import FAR, open_transport
from tests.fakes.upstream import STALL, open_upstream, raw_reply, sse_reply


async def test_a_head_that_does_not_come_is_a_first_byte_timeout() -> None:
    clock = FakeClock()
    async with (
        open_upstream([raw_reply([b"HTTP/1.1 200", STALL])]) as up,
        open_transport(up.url, clock=clock) as transport,
    ):
        asking = asyncio.ensure_future(
            transport.request("POST", "/x", b"{}", deadline=FAR, first_byte=30)
        )
        await up.until_received()
        await clock.advance(29.9)
        assert not asking.done()
        await clock.advance(0.2)
        with pytest.raises(UpstreamTimeout) as caught:
            await asking
        assert caught.value.code == "upstream_first_byte_timeout"
        await up.until_closed()


async def test_without_a_first_byte_limit_only_the_deadline_counts() -> None:
    clock = FakeClock()
    async with (
        open_upstream([raw_reply([STALL])]) as up,
        open_transport(up.url, clock=clock) as transport,
    ):
        deadline = clock.monotonic() + 600
        asking = asyncio.ensure_future(transport.request("POST", "/x", b"{}", deadline=deadline))
        await up.until_received()
        await clock.advance(599)
        assert not asking.done()
        await clock.advance(2)
        with pytest.raises(UpstreamTimeout) as caught:
            await asking
        assert caught.value.code == "upstream_timeout"


async def test_a_drip_is_not_idle_but_the_deadline_ends_it() -> None:
    clock = FakeClock()
    gates = [asyncio.Event() for _ in range(4)]
    script = [sse_reply([b"0", gates[0], b"1", gates[1], b"2", gates[2], b"3", STALL])]
    config = TransportConfig(idle=10)
    async with (
        open_upstream(script) as up,
        open_transport(up.url, config, clock=clock) as transport,
    ):
        deadline = clock.monotonic() + 25
        response = await transport.request("POST", "/x", b"{}", deadline=deadline)
        assert await response.chunk() == b"0"
        for gate, expected in zip(gates, [b"1", b"2"], strict=False):
            dripping = asyncio.ensure_future(response.chunk())
            await clock.advance(9)
            gate.set()
            assert await dripping == expected
        dripping = asyncio.ensure_future(response.chunk())
        await clock.advance(8)
        with pytest.raises(UpstreamTimeout) as caught:
            await dripping
        assert caught.value.code == "upstream_timeout"


async def test_silence_inside_a_stream_is_idle() -> None:
    clock = FakeClock()
    async with (
        open_upstream([sse_reply([b"one", STALL])]) as up,
        open_transport(up.url, TransportConfig(idle=10), clock=clock) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR)
        assert await response.chunk() == b"one"
        waiting = asyncio.ensure_future(response.chunk())
        await clock.advance(10.1)
        with pytest.raises(UpstreamTimeout) as caught:
            await waiting
        assert caught.value.code == "upstream_idle"
        await up.until_closed()


async def test_a_timer_that_rings_while_nobody_waits_does_no_harm() -> None:
    clock = FakeClock()
    gate = asyncio.Event()
    async with (
        open_upstream([sse_reply([b"one", gate, b"two", STALL])]) as up,
        open_transport(up.url, TransportConfig(idle=10), clock=clock) as transport,
    ):
        response = await transport.request("POST", "/x", b"{}", deadline=FAR, first_byte=30)
        assert await response.chunk() == b"one"
        await clock.advance(40)  # a slow client: nothing is asked of the upstream meanwhile
        gate.set()
        assert await response.chunk() == b"two"
        waiting = asyncio.ensure_future(response.chunk())
        await clock.advance(9.9)
        assert not waiting.done()
        await clock.advance(0.2)
        with pytest.raises(UpstreamTimeout):
            await waiting
