"""A gateway in front of one scripted upstream, and what every journey must leave behind.

When a journey ends, nothing is in flight, no upstream connection is held, the log has exactly one
wide event for each request, and not one warning.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.policy.setup import load_setup
from tests.fakes.doors import MODELS
from tests.fakes.gateway import serve_setup, write_config
from tests.fakes.raw_client import Answer, RawClient, connect, get, post
from tests.fakes.upstream import NO_HEADERS, Script, ScriptedUpstream, open_upstream

QUADRANTS = [
    (caller, provider) for caller in ("openai", "anthropic") for provider in ("openai", "anthropic")
]
"""Who asks, and who answers."""
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
PROVIDER_KEY = "sk-provider-canary-7f3a91c2"
CLIENT_KEY = "tk-client-canary-55be02d9"
PROMPT = "prompt-canary: what is the weather?"
ENVIRONMENT = {"PROVIDER_KEY_CANARY": PROVIDER_KEY, "CLIENT_KEY_CANARY": CLIENT_KEY}
LIMIT = 15.0
"""Seconds after which a wait in a test has failed; nothing takes nearly as long."""


@dataclass
class Journey:
    upstream: ScriptedUpstream
    gateway: Gateway
    asked: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    """Every line of the log, once the journey is over."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The wide events, once the journey is over."""
        return [line for line in self.lines if "request_id" in line]

    @property
    def event(self) -> dict[str, Any]:
        [event] = self.events
        return event

    def client(self, *, window: int | None = None) -> AbstractAsyncContextManager[RawClient]:
        return connect(self.gateway.port, window=window)

    def request(
        self,
        caller: str = "openai",
        *,
        stream: bool = True,
        headers: Mapping[str, str] = NO_HEADERS,
        **fields: Any,
    ) -> bytes:
        """Return the bytes of a request that is going to be sent once."""
        self.asked += 1
        body = {"model": "the-model", "messages": [{"role": "user", "content": PROMPT}]}
        if caller == "anthropic":
            fields = {"max_tokens": 99, **fields}
        if stream:
            fields["stream"] = True
        data = json.dumps({**body, **fields}).encode()
        return post(data, PATHS[caller], authorization=f"Bearer {CLIENT_KEY}", **headers)

    async def ask(self, caller: str = "openai", *, stream: bool = True, **fields: Any) -> Answer:
        async with asyncio.timeout(LIMIT), self.client() as client:
            return await client.ask(self.request(caller, stream=stream, **fields))

    async def metrics(self) -> str:
        async with connect(self.gateway.admin_port) as client:
            return (await client.ask(get("/metrics"))).body.decode()

    async def in_use(self) -> int:
        """How many upstream connections are held for requests."""
        line = 'turnout_upstream_connections_held{provider="upstream",state="in_use"} '
        [value] = [v for v in (await self.metrics()).splitlines() if v.startswith(line)]
        return int(float(value.removeprefix(line)))

    async def until_quiet(self) -> None:
        """Wait until nothing is in flight and no upstream connection is held."""
        async with asyncio.timeout(LIMIT):
            while self.gateway.edge.in_flight or await self.in_use():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def open_journey(
    script: Script,
    provider: str = "openai",
    *,
    transport: Mapping[str, Any] | None = None,
    pipeline: Sequence[Mapping[str, Any]] = (),
    base_url: str = "",
    limits: Mapping[str, Any] | None = None,
    capabilities: Sequence[str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> AsyncIterator[Journey]:
    """Serve `the-model` from an upstream that speaks the dialect `provider`."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with open_upstream(script) as upstream:
            model = {"provider": "upstream", **MODELS[provider]}
            if capabilities is not None:
                model["capabilities"] = list(capabilities)
            write_config(
                home,
                providers={
                    "upstream": {
                        "kind": provider,
                        "base_url": base_url or upstream.url,
                        "api_key": "env:PROVIDER_KEY_CANARY",
                        "transport": dict(transport or {}),
                    }
                },
                models={"the-model": model},
                aliases=aliases,
                settings={
                    "keys": {"tenant": "env:CLIENT_KEY_CANARY"},
                    "limits": dict(limits or {}),
                },
                pipeline=pipeline,
            )
            setup = await asyncio.to_thread(
                load_setup, home / "config", home / "policies", ENVIRONMENT
            )
            async with serve_setup(setup, home / "log") as running:
                journey = Journey(upstream, running.gateway)
                yield journey
                await journey.until_quiet()
            journey.lines = running.events()
    assert len(journey.events) == journey.asked, journey.lines
    loud = [line for line in journey.lines if line.get("level") in {"warning", "error"}]
    assert not loud


def told(body: bytes) -> list[tuple[str, Any]]:
    """Return the events of a stream as (name, data); data that is JSON is decoded."""
    found = []
    assert body.endswith(b"\n\n")
    for raw in body.decode().split("\n\n")[:-1]:
        name, data = "", ""
        for line in raw.split("\n"):
            kind, _, value = line.partition(":")
            if kind == "event":
                name = value.strip()
            elif kind == "data":
                data += value.strip()
        if data:
            found.append((name, data if data == "[DONE]" else json.loads(data)))
        else:
            assert not raw or raw[0] in ":\n", f"neither an event nor a comment: {raw!r}"
    return found


def said(body: bytes) -> str:
    """Return the text of a stream of either dialect."""
    text = ""
    for _, data in told(body):
        if isinstance(data, dict):
            for choice in data.get("choices", ()):
                text += choice["delta"].get("content") or ""
            text += (data.get("delta") or {}).get("text") or ""
    return text


def complete(body: bytes, caller: str) -> bool:
    """Whether the stream ended as its dialect says that streams end."""
    *_, (name, data) = told(body)
    return data == "[DONE]" if caller == "openai" else name == "message_stop"


def broken(body: bytes, caller: str) -> dict[str, Any]:
    """Return the error object that a stream ended with: the one, the last, and no other end."""
    events = told(body)
    ends = {"[DONE]"} if caller == "openai" else {"message_stop", "message_delta"}
    assert not [e for e in events if e[1] == "[DONE]" or e[0] in ends]
    errors = [data for _, data in events if isinstance(data, dict) and "error" in data]
    name, last = events[-1]
    assert errors == [last]
    assert (name, last.get("type")) == (("", None) if caller == "openai" else ("error", "error"))
    finishes = [
        choice.get("finish_reason")
        for _, data in events
        if isinstance(data, dict)
        for choice in data.get("choices", ())
    ]
    assert not any(finishes)
    error: dict[str, Any] = last["error"]
    assert error["message"]
    return error
