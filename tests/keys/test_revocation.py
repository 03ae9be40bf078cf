"""Revocation, over real workers and nodes: new requests are refused, open ones end, in a second."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.gateway import write_config
from tests.fakes.operator import TOKEN, ask, create, revoke, turnout_keys
from tests.fakes.process import Process, serving, until
from tests.fakes.redis_server import redis_server

FREE = {"price": {"input": 0, "output": 0}}
PROVIDERS = {
    "steady": {
        "kind": "simulated",
        "latency": {"law": "fixed", "first_token": 0.02, "gap": 0.1},
        "answer_tokens": 600,
    },
    "short": {
        "kind": "simulated",
        "latency": {"law": "fixed", "first_token": 0.02, "gap": 0.1},
        "answer_tokens": 40,
    },
    "silent": {"kind": "simulated", "latency": {"law": "fixed", "first_token": 50, "gap": 0}},
    "quick": {"kind": "simulated", "answer_tokens": 3},
}
MODELS = {name: {"provider": name, **FREE} for name in PROVIDERS}
STREAMS = 50
REFUSED = {401, 429}
"""429 once an address has tried too many wrong keys with one worker."""
BAR = 1.0
"""Seconds in which a revocation must hold everywhere."""


@dataclass
class Seen:
    """What became of one request."""

    status: int = 0
    text: bytes = b""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: float = 0.0


class Clients:
    """Callers of one or several nodes, each request on a connection of its own."""

    def __init__(self, session: aiohttp.ClientSession, nodes: Sequence[Process]) -> None:
        self._session = session
        self._nodes = nodes
        self._asked = 0

    async def ask(
        self, key: str, model: str = "quick", *, stream: bool = False, messages: bool = False
    ) -> Seen:
        seen = Seen()
        await self.run(seen, key, model, stream=stream, messages=messages)
        return seen

    async def run(self, seen: Seen, key: str, model: str, *, stream: bool, messages: bool) -> None:
        node = self._nodes[self._asked % len(self._nodes)]
        self._asked += 1
        path = "messages" if messages else "chat/completions"
        body: dict[str, Any] = {"model": model, "stream": stream, "max_tokens": 2_000}
        body["messages"] = [{"role": "user", "content": "Hello!"}]
        url, headers = f"http://127.0.0.1:{node.port}/v1/{path}", {"x-api-key": key}
        async with self._session.post(url, json=body, headers=headers) as response:
            seen.status = response.status
            async for chunk in response.content.iter_any():
                seen.text += chunk
                seen.begun.set()
        seen.ended = time.monotonic()

    async def until_all_refuse(self, key: str) -> float:
        """Ask until 30 fresh connections in a row are refused; return when the first was."""
        end, refused, since = time.monotonic() + 10, 0, 0.0
        while refused < 30:
            since = since if refused else time.monotonic()
            assert time.monotonic() < end
            status = (await self.ask(key)).status
            refused = refused + 1 if status in REFUSED else 0
        return since


@contextmanager
def nodes_of(store: str, home: Path) -> Iterator[list[Process]]:
    """Three workers on SQLite, or two nodes of two workers on Redis."""
    settings: dict[str, Any] = {"admin_token": "env:TOKEN", "require_key": True}
    environment = {**os.environ, "TOKEN": TOKEN}
    with ExitStack() as stack:
        homes, workers = [home / "one"], "3"
        if store == "redis":
            server = stack.enter_context(redis_server())
            environment |= {"REDIS_URL": server.url, "PEPPER": "one pepper for all the nodes"}
            settings |= {
                "state": {"kind": "redis", "url": "env:REDIS_URL", "timeout": 1},
                "pepper": "env:PEPPER",
            }
            homes, workers = [home / "one", home / "two"], "2"
        nodes = []
        for each in homes:
            each.mkdir()
            write_config(each, providers=PROVIDERS, models=MODELS, settings=settings)
            (each / "policies/tenants.yaml").write_text("tenants: {acme: {}, bob: {}}\n")
            running = serving(each, "--workers", workers, environment=environment)
            nodes.append(stack.enter_context(running))
        for node in nodes:
            until(lambda node=node: bool(node.readiness()["ready"]), node)  # type: ignore[misc]  # mypy cannot infer it
        yield nodes


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_a06_a_revoked_key_is_out_on_all_workers_within_a_second(
    store: str, tmp_path: Path
) -> None:
    with nodes_of(store, tmp_path) as nodes:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            clients = Clients(session, nodes)
            key, name = create(nodes[0], "acme")
            other, _ = create(nodes[-1], "acme")
            await asyncio.sleep(BAR)
            streams, kept, waiting = [Seen() for _ in range(STREAMS)], Seen(), Seen()
            async with asyncio.TaskGroup() as group:
                for number, seen in enumerate(streams):
                    claude = bool(number % 2)
                    asking = clients.run(seen, key, "steady", stream=True, messages=claude)
                    group.create_task(asking)
                staying = group.create_task(
                    clients.run(kept, other, "short", stream=True, messages=False)
                )
                group.create_task(clients.run(waiting, key, "silent", stream=False, messages=False))
                for seen in (*streams, kept):
                    await asyncio.wait_for(seen.begun.wait(), 20)
                revoked = time.monotonic()
                await asyncio.to_thread(revoke, nodes[0], name)
                refused = await clients.until_all_refuse(key)
                await staying
        last = max(seen.ended for seen in (*streams, waiting)) - revoked
    sys.stdout.write(
        f"{store}: refused everywhere after {refused - revoked:.2f} s, "
        f"{STREAMS} streams and one waiting request ended after {last:.2f} s\n"
    )
    assert refused - revoked <= BAR
    assert last <= BAR
    assert kept.text.rstrip().endswith(b"data: [DONE]")
    assert (waiting.status, b'"code":"invalid_key"' in waiting.text) == (401, True)
    for number, seen in enumerate(streams):
        event = seen.text.rstrip().rpartition(b"\n\n")[2]
        assert seen.status == 200
        assert b"This API key is not valid." in event
        assert event.startswith(b"event: error\n" if number % 2 else b'data: {"error":')


async def test_a_key_that_is_made_and_revoked_by_command_is_heard_of_by_all_workers(
    tmp_path: Path,
) -> None:
    with nodes_of("sqlite", tmp_path) as nodes:
        home = tmp_path / "one"
        environment = {**os.environ, "TOKEN": TOKEN}
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True)
        ) as session:
            clients = Clients(session, nodes)
            assert (await clients.ask("tk-" + "0" * 32)).status == 401
            words = ("create", "--tenant", "bob")
            key = await asyncio.to_thread(turnout_keys, home, *words, **environment)
            await asyncio.sleep(BAR)
            answers = [(await clients.ask(key)).status for _ in range(20)]
            assert answers == [200] * 20
            _, listed = ask(nodes[0], "GET", "keys")
            (kept,) = listed["keys"]
            assert (kept["prefix"], kept["tenant"]) == (key[:8], "bob")
            revoked = time.monotonic()
            await asyncio.to_thread(turnout_keys, home, "revoke", kept["id"], **environment)
            done = time.monotonic()
            refused = await clients.until_all_refuse(key)
            sys.stdout.write(f"refused {refused - done:.2f} s after the command's end\n")
            assert refused - done <= BAR
            assert done - revoked < 10


async def test_what_a_key_began_before_it_was_over_may_finish(tmp_path: Path) -> None:
    with nodes_of("sqlite", tmp_path) as nodes:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True)
        ) as session:
            clients = Clients(session, nodes)
            key, _ = create(nodes[0], "acme", expires="3s")
            made = time.monotonic()
            await asyncio.sleep(BAR)
            seen = await clients.ask(key, "short", stream=True)
            assert seen.ended - made > 3
            assert seen.text.rstrip().endswith(b"data: [DONE]")
            assert (await clients.ask(key)).status == 401


@pytest.mark.parametrize("on_revoke", ["cut", "finish"])
async def test_h03_a_tenant_that_is_taken_out_is_cut_or_may_finish(
    on_revoke: str, tmp_path: Path
) -> None:
    with nodes_of("sqlite", tmp_path) as nodes:
        tenants = tmp_path / "one/policies/tenants.yaml"
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True)
        ) as session:
            clients = Clients(session, nodes)
            key, name = create(nodes[0], "acme")
            await asyncio.sleep(BAR)
            seen = Seen()
            async with asyncio.TaskGroup() as group:
                group.create_task(clients.run(seen, key, "short", stream=True, messages=False))
                await asyncio.wait_for(seen.begun.wait(), 20)
                tenants.write_text(f"on_revoke: {on_revoke}\ntenants: {{bob: {{}}}}\n")
                status, done = await asyncio.to_thread(ask, nodes[0], "POST", "reload")
                reloaded = time.monotonic()
                assert (status, done["ok"]) == (200, True)
                assert [(await clients.ask(key)).status for _ in range(10)] == [401] * 10
        if on_revoke == "cut":
            assert seen.ended - reloaded <= BAR
            assert b"This API key is not valid." in seen.text
            assert b"[DONE]" not in seen.text
        else:
            assert seen.text.rstrip().endswith(b"data: [DONE]")
        _, listed = ask(nodes[0], "GET", "tenants")
        assert list(listed["tenants"]) == ["bob"]
        _, listed = ask(nodes[0], "GET", "keys")
        assert [key["id"] for key in listed["keys"]] == [name]  # good again with its tenant
