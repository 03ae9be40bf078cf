"""A bare aiohttp handler that returns one answer: `python -m loadtest.bench.handler PORT FILE`."""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def serve(port: int, body: bytes) -> None:
    """Answer every request with the same bytes until killed."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
