"""The yardstick: what anyone would write with aiohttp in ten minutes, without a single feature.

`python -m loadtest.bench.relay PORT UPSTREAM_URL`
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, TCPConnector, web

from gateway.core import wire

_SESSION = web.AppKey("session", ClientSession)


async def relay(request: web.Request) -> web.StreamResponse:
    """Send the body on, and the answer back as it comes."""
    body = await request.read()
    wire.decode(body)
    headers = {"content-type": "application/json", "authorization": "Bearer upstream-key"}
    session = request.app[_SESSION]
    async with session.post(sys.argv[2] + "/chat/completions", data=body, headers=headers) as got:
        if got.content_type != "text/event-stream":
            text = await got.read()
            return web.Response(body=text, status=got.status, content_type="application/json")
        out = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await out.prepare(request)
        async for data in got.content.iter_any():
            await out.write(data)
        await out.write_eof()
        return out


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        app[_SESSION] = session
        yield


async def serve(port: int) -> None:
    """Relay until killed."""
    app = web.Application()
    app.cleanup_ctx.append(_session)
    app.router.add_post("/v1/chat/completions", relay)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
