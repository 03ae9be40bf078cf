"""What an operator's listener asks of a process."""

from collections.abc import Mapping
from typing import Any

from gateway.edge.readiness import Readiness

METRICS = b"turnout_requests_total 1.0\n"


class FakeOperations:
    def __init__(self, *, ok: bool = True) -> None:
        self.readiness = Readiness()
        self.done: Mapping[str, Any] = {"ok": ok, "version": "abc"}

    async def metrics(self) -> bytes:
        return METRICS

    async def providers(self) -> Mapping[str, Any]:
        return {"targets": []}

    async def reload(self) -> Mapping[str, Any]:
        return self.done
