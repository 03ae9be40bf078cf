"""A TCP proxy that delays, drips, stalls, resets, truncates, corrupts or half-closes what passes.

async with fault_proxy(server_port) as proxy:
proxy.fault = Fault(stall_after=300)   # of every answer from now on
...                                    # proxy.port is where to connect
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

PIECE = 65536


@dataclass(frozen=True)
class Fault:
    """What becomes of a connection's answers. Offsets are bytes since the connection began."""

    drip: tuple[int, float] | None = None
    """So many bytes at a time, and seconds between them."""
    stall_after: int | None = None
    reset_after: int | None = None
    truncate_after: int | None = None
    """Close in good order there."""
    half_close_after: int | None = None
    """Say that nothing more will come, and go on listening."""
    corrupt_at: int | None = None
    """The byte there is flipped."""

    @property
    def end(self) -> int | None:
        """Where it stops passing bytes on."""
        ends = (self.stall_after, self.reset_after, self.truncate_after, self.half_close_after)
        return min((at for at in ends if at is not None), default=None)


SOUND = Fault()


class FaultProxy:
    """Passes connections on to `target`, a port of this machine, with the faults that are set.

    `delay` is in seconds each way. While `open_up` or `open_down` is cleared, bytes wait there (a
    new event as `open_up` is for the connections that come after it); with `swallow` answers are
    read and thrown away, with `cut` the connection breaks instead, and `fault` is what becomes of
    answers otherwise.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay = 0.0
        self.swallow = False
        self.cut = False
        self.fault = SOUND
        self.open_up = asyncio.Event()
        self.open_up.set()
        self.open_down = asyncio.Event()
        self.open_down.set()
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is, for a client of Redis."""
        return f"redis://127.0.0.1:{self.port}/0"

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                gone = asyncio.Event()
                await asyncio.gather(
                    self._up(reader, outer, self.open_up, gone), self._down(inner, writer, gone)
                )
            finally:
                outer.transport.abort()
        except OSError:
            pass  # the server is not there: the client's connection ends, too
        finally:
            writer.transport.abort()

    async def _up(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event,
        gone: asyncio.Event,
    ) -> None:
        """Pass on what a client wrote, be it late, even when the client has gone."""
        try:
            with suppress(OSError):
                while data := await reader.read(PIECE):
                    await self._pause()
                    await gate.wait()
                    writer.write(data)
        finally:
            gone.set()
            writer.close()

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> None:
        passed = 0
        try:
            with suppress(OSError):
                while data := await reader.read(PIECE):
                    await self._pause()
                    await self.open_down.wait()
                    if self.cut:
                        writer.transport.abort()
                        return
                    if self.swallow:
                        continue
                    fault = self.fault
                    data = _corrupted(data, passed, fault)
                    end = fault.end
                    whole = end is None or passed + len(data) < end
                    await _write(writer, data if whole else data[: (end or 0) - passed], fault)
                    passed += len(data)
                    if not whole:
                        await _finish(writer, fault, gone)
                        return
        finally:
            writer.close()

    async def _pause(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)

    async def close(self) -> None:
        """End every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _write(writer: asyncio.StreamWriter, data: bytes, fault: Fault) -> None:
    if fault.drip is None:
        writer.write(data)
        return
    size, pause = fault.drip
    for start in range(0, len(data), size):
        writer.write(data[start : start + size])
        await writer.drain()
        await asyncio.sleep(pause)


async def _finish(writer: asyncio.StreamWriter, fault: Fault, gone: asyncio.Event) -> None:
    """Do what the fault ends with; a stall lasts until the client has gone."""
    await writer.drain()
    if fault.reset_after is not None:
        held = writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return
    if fault.truncate_after is not None:
        return
    if fault.half_close_after is not None:
        writer.write_eof()
    await gone.wait()


def _corrupted(data: bytes, passed: int, fault: Fault) -> bytes:
    at = fault.corrupt_at
    if at is None or not passed <= at < passed + len(data):
        return data
    place = at - passed
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


@asynccontextmanager
async def fault_proxy(target: int) -> AsyncIterator[FaultProxy]:
    """Stand in front of a port of this machine until the end of the block."""
    proxy = FaultProxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
