"""What an operator can ask for: a line in a table each."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from gateway.edge.admin import AdminAnswer, AdminRequest, AdminRoute, json_answer

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"


class Readiness(Protocol):
    """Whether this process should get traffic, and why not."""

    def ready(self) -> bool: ...
    def report(self) -> Mapping[str, Any]: ...


class Desk(Protocol):
    """Where keys are issued, and tenants shown."""

    async def keys(self, request: AdminRequest, /) -> AdminAnswer: ...
    async def create(self, request: AdminRequest, /) -> AdminAnswer: ...
    async def revoke(self, request: AdminRequest, /) -> AdminAnswer: ...
    async def tenants(self, request: AdminRequest, /) -> AdminAnswer: ...


class CacheDesk(Protocol):
    """Where stored answers are forgotten."""

    async def purge(self, request: AdminRequest, /) -> AdminAnswer: ...
    async def feedback(self, request: AdminRequest, /) -> AdminAnswer: ...


class Operations(Protocol):
    """What one process, or all workers as one, can tell and do for an operator."""

    @property
    def readiness(self) -> Readiness: ...

    @property
    def desk(self) -> Desk: ...

    @property
    def cache_desk(self) -> CacheDesk: ...

    async def metrics(self) -> bytes:
        """Return the Prometheus text."""
        ...

    async def providers(self) -> Mapping[str, Any]:
        """Return what is known of every target's health."""
        ...

    async def cache(self) -> Mapping[str, Any]:
        """Return what is stored of answers, and what happened to them."""
        ...

    async def reload(self) -> Mapping[str, Any]:
        """Read the policies again and return what came of it; its `ok` says whether it is in."""
        ...


def admin_routes(operations: Operations) -> list[AdminRoute]:
    """Return every route of the admin listener."""

    async def live(_request: AdminRequest) -> AdminAnswer:
        return AdminAnswer(b"alive\n", content_type=_TEXT)

    async def ready(_request: AdminRequest) -> AdminAnswer:
        readiness = operations.readiness
        unready = HTTPStatus.SERVICE_UNAVAILABLE
        return json_answer(readiness.report(), HTTPStatus.OK if readiness.ready() else unready)

    async def metrics(_request: AdminRequest) -> AdminAnswer:
        return AdminAnswer(await operations.metrics(), content_type=_PROMETHEUS)

    async def providers(_request: AdminRequest) -> AdminAnswer:
        return json_answer(await operations.providers(), HTTPStatus.OK)

    async def cache(_request: AdminRequest) -> AdminAnswer:
        return json_answer(await operations.cache(), HTTPStatus.OK)

    async def reload(_request: AdminRequest) -> AdminAnswer:
        done = await operations.reload()
        bad = HTTPStatus.UNPROCESSABLE_ENTITY
        return json_answer(done, HTTPStatus.OK if done["ok"] else bad)

    return [
        AdminRoute("GET", "/livez", live),
        AdminRoute("GET", "/readyz", ready),
        AdminRoute("GET", "/metrics", metrics),
        AdminRoute("GET", "/admin/providers", providers),
        AdminRoute("POST", "/admin/reload", reload),
        AdminRoute("GET", "/admin/keys", operations.desk.keys),
        AdminRoute("POST", "/admin/keys", operations.desk.create),
        AdminRoute("DELETE", "/admin/keys/{id}", operations.desk.revoke),
        AdminRoute("GET", "/admin/tenants", operations.desk.tenants),
        AdminRoute("GET", "/admin/cache", cache),
        AdminRoute("DELETE", "/admin/cache", operations.cache_desk.purge),
        AdminRoute("POST", "/admin/cache/feedback", operations.cache_desk.feedback),
    ]
