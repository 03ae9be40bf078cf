"""A gateway with a failover policy in front of scripted upstreams, each behind a fault proxy."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.core import wire
from gateway.policy.setup import load_setup
from loadtest.fault_proxy import FaultProxy, fault_proxy
from tests.fakes.gateway import serve_setup, write_config
from tests.fakes.raw_client import Answer, connect, get
from tests.fakes.raw_client import post as raw_post
from tests.fakes.upstream import Script, ScriptedUpstream, open_upstream
from tests.journeys.journey import LIMIT, PATHS

NAMES = ("a", "b", "c")
PATIENCE = {"connect": 0.4, "first_byte": 5, "idle": 1}


@dataclass
class Pool:
    """Models `m-a`, `m-b`, ... at providers `a`, `b`, ..., in a policy `failover` over all."""

    gateway: Gateway
    upstreams: Mapping[str, ScriptedUpstream]
    proxies: Mapping[str, FaultProxy]
    asked: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def ask(
        self,
        caller: str = "openai",
        *,
        stream: bool = True,
        content: str = "hi",
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Answer:
        self.asked += 1
        messages = [{"role": "user", "content": content}]
        body: dict[str, Any] = {"model": "m-a", "messages": messages, **fields}
        if caller == "anthropic":
            body["max_tokens"] = 99
        if stream:
            body["stream"] = True
        request = raw_post(wire.encode(body), PATHS[caller], **(headers or {}))
        async with asyncio.timeout(LIMIT), connect(self.gateway.port) as client:
            return await client.ask(request)

    async def metrics(self) -> str:
        async with connect(self.gateway.admin_port) as client:
            return (await client.ask(get("/metrics"))).body.decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The wide events, once the pool is closed."""
        return [line for line in self.lines if "request_id" in line]

    def tries(self) -> list[int]:
        """How many requests each upstream received."""
        return [len(upstream.requests) for upstream in self.upstreams.values()]


@asynccontextmanager
async def open_pool(
    *scripts: Script,
    urls: Mapping[str, str] | None = None,
    kinds: Sequence[str] = (),
    failover: Mapping[str, Any] | None = None,
    relay: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    transport: Mapping[str, Any] | None = None,
) -> AsyncIterator[Pool]:
    """`urls` replaces a provider's address, `kinds` says what they speak, openai by default."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with AsyncExitStack() as stack:
            upstreams, proxies, providers, models = {}, {}, {}, {}
            for index, script in enumerate(scripts):
                name = NAMES[index]
                upstream = await stack.enter_async_context(open_upstream(script))
                proxy = await stack.enter_async_context(fault_proxy(upstream.port))
                upstreams[name], proxies[name] = upstream, proxy
                kind = kinds[index] if kinds else "openai"
                url = (urls or {}).get(name) or f"http://127.0.0.1:{proxy.port}/v1"
                providers[name] = {
                    "kind": kind,
                    "base_url": url,
                    "transport": {**PATIENCE, **(transport or {})},
                }
                if kind == "anthropic":
                    providers[name]["api_key"] = "env:KEY"
                price = {"input": 1, "output": 2}
                models[f"m-{name}"] = {"provider": name, "price": price, "max_output": 100}
            targets = [{"model": name} for name in models]
            pipeline = [
                {"stage": "failover", "targets": targets, **(failover or {})},
                {"stage": "relay", **(relay or {})},
            ]
            write_config(
                home,
                providers=providers,
                models=models,
                pipeline=pipeline,
                settings={"limits": dict(limits or {})},
            )
            setup = await asyncio.to_thread(
                load_setup, home / "config", home / "policies", {"KEY": "a-key-of-ours"}
            )
            async with serve_setup(setup, home / "log") as running:
                pool = Pool(running.gateway, upstreams, proxies)
                yield pool
                async with asyncio.timeout(LIMIT):
                    while pool.gateway.edge.in_flight:
                        await asyncio.sleep(0.01)
            pool.lines = running.events()
    assert len(pool.events) == pool.asked, pool.lines
