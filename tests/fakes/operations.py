"""What an operator's listener asks of a process."""

from collections.abc import Mapping
from typing import Any

from gateway.edge.admin import AdminAnswer, AdminRequest, json_answer
from gateway.edge.readiness import Readiness

METRICS = b"turnout_requests_total 1.0\n"


class FakeDesk:
    """Says what it was asked."""

    async def keys(self, request: AdminRequest) -> AdminAnswer:
        return json_answer({"asked": "keys"})

    async def create(self, request: AdminRequest) -> AdminAnswer:
        return json_answer({"asked": "create", "body": request.body.decode()})

    async def revoke(self, request: AdminRequest) -> AdminAnswer:
        return json_answer({"asked": "revoke", "name": request.name})

    async def tenants(self, request: AdminRequest) -> AdminAnswer:
        return json_answer({"asked": "tenants"})


class FakeCacheDesk:
    """Says what it was asked."""

    async def purge(self, request: AdminRequest) -> AdminAnswer:
        return json_answer({"asked": "purge", "body": request.body.decode()})

    async def feedback(self, request: AdminRequest) -> AdminAnswer:
        return json_answer({"asked": "feedback", "body": request.body.decode()})


class FakeOperations:
    def __init__(self, *, ok: bool = True) -> None:
        self.readiness = Readiness()
        self.desk = FakeDesk()
        self.cache_desk = FakeCacheDesk()
        self.done: Mapping[str, Any] = {"ok": ok, "version": "abc"}

    async def metrics(self) -> bytes:
        return METRICS

    async def providers(self) -> Mapping[str, Any]:
        return {"targets": []}

    async def cache(self) -> Mapping[str, Any]:
        return {"at_hand": {}}

    async def reload(self) -> Mapping[str, Any]:
        return self.done
