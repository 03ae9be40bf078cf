"""The fault proxy does to answers what it is told, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadtest.fault_proxy import Fault, fault_proxy

TEXT = b"0123456789" * 10


@asynccontextmanager
async def answered(
    fault: Fault,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through a proxy to a server that says TEXT and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(TEXT)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, fault_proxy(server.sockets[0].getsockname()[1]) as proxy:
        proxy.fault = fault
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"?")
        try:
            yield reader, writer
        finally:
            writer.close()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(), TEXT),
        (Fault(drip=(7, 0.001)), TEXT),
        (Fault(truncate_after=33), TEXT[:33]),
        (Fault(half_close_after=20), TEXT[:20]),
        (Fault(corrupt_at=5), TEXT[:5] + b"\xca" + TEXT[6:]),
    ],
    ids=str,
)
async def test_what_arrives_is_what_the_fault_says(fault: Fault, expected: bytes) -> None:
    async with answered(fault) as (reader, _):
        assert await reader.read() == expected


async def test_a_reset_is_no_end() -> None:
    async with answered(Fault(reset_after=10)) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_stall_says_nothing_more_and_does_not_end() -> None:
    async with answered(Fault(stall_after=10)) as (reader, _):
        assert await reader.readexactly(10) == TEXT[:10]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)


async def test_a_drip_takes_its_time() -> None:
    began = time.monotonic()
    async with answered(Fault(drip=(10, 0.01))) as (reader, _):
        await reader.read()
    assert time.monotonic() - began >= 0.09
