"""What one process can tell and do for an operator."""

from collections.abc import Mapping
from typing import Any

from gateway.core.ports import Tools
from gateway.edge.cache_desk import CacheDesk
from gateway.edge.key_desk import KeyDesk
from gateway.edge.readiness import Readiness
from gateway.policy.reload import Reloader
from gateway.telemetry.metrics import Metrics


class Process:
    """What this process can tell and do for an operator."""

    def __init__(
        self,
        readiness: Readiness,
        metrics: Metrics,
        reloader: Reloader,
        *,
        desk: KeyDesk,
        cache_desk: CacheDesk,
        tools: Tools,
    ) -> None:
        self.readiness = readiness
        self.desk = desk
        self.cache_desk = cache_desk
        self._metrics = metrics
        self._reloader = reloader
        self._tools = tools

    async def metrics(self) -> bytes:
        """Return the Prometheus text."""
        return self._metrics.render()

    async def providers(self) -> Mapping[str, Any]:
        """Return what is known of every target's health."""
        return self._tools.health.report(self._tools.runtime.clock.monotonic())

    async def cache(self) -> Mapping[str, Any]:
        """Return what is stored of answers, and what happened to them."""
        return await self.cache_desk.stats()

    async def reload(self) -> Mapping[str, Any]:
        """Read the policies again and return what came of it."""
        return (await self._reloader.reload()).report()

    def reload_soon(self) -> None:
        """Begin to read the policies again; the log says what came of it."""

        async def reload() -> None:
            await self._reloader.reload()

        self._tools.runtime.spawn("reload policies", reload())
