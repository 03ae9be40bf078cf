"""How a supervisor asks its workers, over the unix socket of each one's admin listener."""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from gateway.edge.admin import ACTOR, AdminAnswer, AdminRequest, json_answer

ASK: Final = 2.0
"""Seconds that a worker has to answer the supervisor."""


class PassedOn:
    """Desks that let a worker answer, with the name of who asked."""

    def __init__(self, live: Callable[[], Sequence[str]]) -> None:
        """`live` returns the sockets of the workers that are up."""
        self._live = live

    async def keys(self, request: AdminRequest) -> AdminAnswer:
        """Return every key."""
        return await self._ask("GET", "/admin/keys", request)

    async def create(self, request: AdminRequest) -> AdminAnswer:
        """Issue a key. Only one worker is asked: a second would issue a second key."""
        return await self._ask("POST", "/admin/keys", request, tries=1)

    async def revoke(self, request: AdminRequest) -> AdminAnswer:
        """Revoke a key."""
        return await self._ask("DELETE", f"/admin/keys/{quote(request.name, safe='')}", request)

    async def tenants(self, request: AdminRequest) -> AdminAnswer:
        """Return every tenant."""
        return await self._ask("GET", "/admin/tenants", request)

    async def purge(self, request: AdminRequest) -> AdminAnswer:
        """Forget stored answers."""
        return await self._ask("DELETE", "/admin/cache", request)

    async def feedback(self, request: AdminRequest) -> AdminAnswer:
        """Forget an answer that was wrong. Only one worker is asked: a second would not find it."""
        return await self._ask("POST", "/admin/cache/feedback", request, tries=1)

    async def _ask(
        self, method: str, target: str, request: AdminRequest, tries: int = 3
    ) -> AdminAnswer:
        for path in self._live()[:tries]:
            sent, actor = request.body, request.actor
            status, body = await ask(path, target, method, body=sent, actor=actor)
            if status:
                return AdminAnswer(body, status)
        error = {"code": "no_worker", "message": "No worker answers. Look, and try again."}
        return json_answer({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE)


async def ask(
    socket_path: str, target: str, method: str = "GET", *, body: bytes = b"", actor: str = ""
) -> tuple[int, bytes]:
    """Return a worker's answer, status 0 when it gives none."""
    head = f"{method} {target} HTTP/1.1\r\nhost: worker\r\ncontent-length: {len(body)}\r\n"
    head += f"{ACTOR}: {actor}\r\n\r\n"
    try:
        async with asyncio.timeout(ASK):
            reader, writer = await asyncio.open_unix_connection(socket_path)
            try:
                writer.write(head.encode() + body)
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return 0, b""
    top, _, content = answer.partition(b"\r\n\r\n")
    status = top[9:12]
    return (int(status), content) if status.isdigit() else (0, b"")
