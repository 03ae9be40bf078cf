"""The real gateway, started through app.py on free ports with a configuration of its own."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.app import Gateway, open_gateway
from gateway.policy.setup import Setup, load_setup
from gateway.runtime import SystemClock
from gateway.telemetry.log import open_log

LOOPBACK = "127.0.0.1:0"
SIMULATED: Mapping[str, Any] = {"simulated": {"kind": "simulated"}}
FREE: Mapping[str, int] = {"input": 0, "output": 0}
DEMO: Mapping[str, Any] = {"simulated/demo": {"provider": "simulated", "price": FREE}}


class OpenGateway(Struct, frozen=True):
    """A gateway that serves. `url` ends in /v1, as an OpenAI SDK's base_url does."""

    url: str
    admin_url: str
    gateway: Gateway
    log: Path

    @property
    def root(self) -> str:
        """The base_url of an Anthropic SDK."""
        return self.url.removesuffix("/v1")

    @property
    def policies(self) -> Path:
        """The folder that it watches."""
        return self.log.parent / "policies"

    def events(self) -> list[dict[str, Any]]:
        """Return what was logged so far; lines are written up to 20 ms after the fact."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def write_config(
    home: Path,
    *,
    providers: Mapping[str, Any] = SIMULATED,
    models: Mapping[str, Any] = DEMO,
    aliases: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    pipeline: Sequence[Mapping[str, Any]] = (),
    tenants: Mapping[str, Any] | None = None,
) -> None:
    """Write config/ and policies/ below `home`. JSON is YAML."""
    (home / "config").mkdir()
    (home / "policies").mkdir()
    gateway = {
        "listen": LOOPBACK,
        "admin": LOOPBACK,
        "providers": providers,
        "embedder": {"kind": "none"},  # loading one costs each gateway half a second
        **(settings or {}),
    }
    (home / "config/gateway.yaml").write_text(json.dumps(gateway))
    (home / "config/models.yaml").write_text(
        json.dumps({"models": models, "aliases": aliases or {}})
    )
    (home / "policies/default.yaml").write_text(json.dumps({"pipeline": list(pipeline)}))
    if tenants is not None:
        (home / "policies/tenants.yaml").write_text(json.dumps({"tenants": tenants}))


@asynccontextmanager
async def open_test_gateway(
    environment: Mapping[str, str] | None = None,
    **config: Any,
) -> AsyncIterator[OpenGateway]:
    """Serve what `write_config` makes of `config`; `environment` is what `env:` refers to."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)

        def load() -> Setup:
            write_config(home, **config)
            return load_setup(home / "config", home / "policies", environment or {})

        setup = await asyncio.to_thread(load)
        async with serve_setup(setup, home / "log") as running:
            yield running


@asynccontextmanager
async def serve_setup(setup: Setup, log_file: Path) -> AsyncIterator[OpenGateway]:
    """Serve a setup that is loaded already."""
    fd = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    # The log outlives the loop in production, so its thread is started and joined outside here.
    opening = open_log(fd, clock=SystemClock(), is_terminal=False)
    log = await asyncio.to_thread(opening.__enter__)
    try:
        async with open_gateway(setup, log, log_file.parent / "data") as gateway:
            yield OpenGateway(
                url=f"http://127.0.0.1:{gateway.port}/v1",
                admin_url=f"http://127.0.0.1:{gateway.admin_port}",
                gateway=gateway,
                log=log_file,
            )
    finally:
        await asyncio.to_thread(opening.__exit__, None, None, None)
        os.close(fd)
