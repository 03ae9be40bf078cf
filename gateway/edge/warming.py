"""Pays at start what the first user would otherwise pay: connections, TLS, a model load."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from msgspec import structs

from gateway.core.embedding import EmbedderUnavailable
from gateway.core.errors import GatewayError
from gateway.core.ports import Clock, Provider, Spawn
from gateway.edge.readiness import Readiness, Warmed
from gateway.providers import AnyProvider
from gateway.telemetry.log import Log


class Warming:
    """Warms every provider at once; readiness waits for each at most its timeout."""

    def __init__(self, readiness: Readiness, clock: Clock, log: Log) -> None:
        self._readiness = readiness
        self._clock = clock
        self._log = log

    def start(
        self,
        configs: Mapping[str, AnyProvider],
        providers: Mapping[str, Provider],
        spawn: Spawn,
    ) -> None:
        """Start in the background what the providers' `warmup` blocks ask for."""
        for name, provider in providers.items():
            warmup = configs[name].warmup
            if warmup is not None:
                self.add(name, provider.warm, warmup.timeout, spawn)

    def add(
        self,
        name: str,
        warm: Callable[[], Awaitable[None]],
        patience: float,
        spawn: Spawn,
        *,
        serving: bool = False,
    ) -> None:
        """Warm one thing in the background.

        Readiness waits up to `patience` seconds, but not where requests are served already.
        """
        self._readiness.warmups[name] = Warmed(state="loading" if serving else "pending")
        spawn(f"warm {name}", self._warm(name, warm, patience))

    async def _warm(self, name: str, warm: Callable[[], Awaitable[None]], patience: float) -> None:
        started = self._clock.monotonic()
        warmed = Warmed(state="ready")
        try:
            async with asyncio.timeout(patience):
                await warm()
        except TimeoutError:
            warmed = Warmed(state="timeout", detail=f"not warm after {patience:g} s")
        except (GatewayError, EmbedderUnavailable) as error:
            warmed = Warmed(state="failed", detail=self._log.redact(str(error)))
        warmed.seconds = self._clock.monotonic() - started
        self._readiness.warmups[name] = warmed
        write = self._log.info if warmed.state == "ready" else self._log.warning
        write("warmed up", provider=name, **structs.asdict(warmed))
