"""A TCP proxy that delays, holds back or swallows what passes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class FaultProxy:
    """`delay` is in seconds each way. While `open_up` or `open_down` is cleared, bytes wait there
    (a new event as `open_up` is for the connections that come after it);
    with `swallow` answers are read and thrown away, with `cut` the connection breaks instead."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay = 0.0
        self.swallow = False
        self.cut = False
        self.open_up = asyncio.Event()
        self.open_up.set()
        self.open_down = asyncio.Event()
        self.open_down.set()
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await asyncio.gather(
                    self._up(reader, outer, self.open_up), self._down(inner, writer)
                )
            finally:
                outer.transport.abort()
        except OSError:
            pass  # the server is not there: the client's connection ends, too
        finally:
            writer.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        """What a client wrote arrives, be it late, even when the client has gone."""
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self._pause()
                    await gate.wait()
                    writer.write(data)
        finally:
            writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self._pause()
                    await self.open_down.wait()
                    if self.cut:
                        writer.transport.abort()
                        return
                    if not self.swallow:
                        writer.write(data)
        finally:
            writer.close()

    async def _pause(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def fault_proxy(target: int) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
