"""What an operator can ask for: a line in a table each."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from aiohttp.web import BaseRequest

from gateway.core import wire
from gateway.edge.admin import AdminAnswer, AdminRoute

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"


class Readiness(Protocol):
    """Whether this process should get traffic, and why not."""

    def ready(self) -> bool: ...
    def report(self) -> Mapping[str, Any]: ...


class Operations(Protocol):
    """What one process, or all workers as one, can tell and do for an operator."""

    @property
    def readiness(self) -> Readiness: ...

    async def metrics(self) -> bytes:
        """Return the Prometheus text."""
        ...

    async def providers(self) -> Mapping[str, Any]:
        """Return what is known of every target's health."""
        ...

    async def reload(self) -> Mapping[str, Any]:
        """Read the policies again and return what came of it; its `ok` says whether it is in."""
        ...


def admin_routes(operations: Operations) -> list[AdminRoute]:
    """Return every route of the admin listener."""

    async def live(_request: BaseRequest) -> AdminAnswer:
        return AdminAnswer(b"alive\n", content_type=_TEXT)

    async def ready(_request: BaseRequest) -> AdminAnswer:
        readiness = operations.readiness
        unready = HTTPStatus.SERVICE_UNAVAILABLE
        return _json(readiness.report(), HTTPStatus.OK if readiness.ready() else unready)

    async def metrics(_request: BaseRequest) -> AdminAnswer:
        return AdminAnswer(await operations.metrics(), content_type=_PROMETHEUS)

    async def providers(_request: BaseRequest) -> AdminAnswer:
        return _json(await operations.providers(), HTTPStatus.OK)

    async def reload(_request: BaseRequest) -> AdminAnswer:
        done = await operations.reload()
        bad = HTTPStatus.UNPROCESSABLE_ENTITY
        return _json(done, HTTPStatus.OK if done["ok"] else bad)

    return [
        AdminRoute("GET", "/livez", live),
        AdminRoute("GET", "/readyz", ready),
        AdminRoute("GET", "/metrics", metrics),
        AdminRoute("GET", "/admin/providers", providers),
        AdminRoute("POST", "/admin/reload", reload),
    ]


def _json(content: Mapping[str, Any], status: HTTPStatus) -> AdminAnswer:
    return AdminAnswer(wire.encode(content) + b"\n", status)
