"""Transports for tests, closed with their block."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.core.ports import Clock
from gateway.providers.transport.client import DEFAULTS, Transport, TransportConfig
from gateway.runtime import SystemClock
from tests.fakes.runtime import make_runtime

KEY: Mapping[str, str] = {"authorization": "Bearer sk-upstream-secret"}
FAR = 1e12
"""A deadline that no test reaches, on either clock."""


@asynccontextmanager
async def open_transport(
    url: str,
    config: TransportConfig = DEFAULTS,
    *,
    headers: Mapping[str, str] = KEY,
    clock: Clock | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Transport]:
    """Yield a transport on the system's clock unless given another one."""
    transport = Transport(url, headers, make_runtime(clock or SystemClock()), config, ssl=tls)
    try:
        yield transport
    finally:
        await transport.aclose()
