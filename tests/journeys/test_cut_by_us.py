"""Requests that we end ourselves: the log says why, and what they used up to then."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.answers import sse
from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.metered import HELLO, chunks
from tests.fakes.upstream import STALL, open_upstream, raw_reply, sse_reply

OPERATOR = {"authorization": "Bearer a-token-for-operators"}
PRICE = {"input": 1, "output": 10}
MIDDLE = sse_reply([*sse(*chunks(None, ("Hel", "lo."))[:2]), STALL])
SILENT = raw_reply([STALL])
End = Callable[[OpenGateway, str], Awaitable[None]]


@asynccontextmanager
async def silent(answer: Any = SILENT, **config: Any) -> AsyncIterator[tuple[OpenGateway, str]]:
    """A gateway before a provider that falls silent, and the id and secret of a key."""
    settings = {"admin_token": "env:TOKEN", "limits": {"drain": 0.1}, "require_key": True}
    async with (
        open_upstream(lambda _request: answer) as upstream,
        open_test_gateway(
            {"TOKEN": "a-token-for-operators"},
            providers={"acme": {"kind": "openai", "base_url": upstream.url}},
            models={"m": {"provider": "acme", "price": PRICE}},
            settings=settings,
            **config,
        ) as gateway,
        aiohttp.ClientSession(headers=OPERATOR) as operator,
    ):
        made = await operator.post(f"{gateway.admin_url}/admin/keys", json={"tenant": "local"})
        yield gateway, (await made.json())["key"]


async def revoke(gateway: OpenGateway, _key: str) -> None:
    async with aiohttp.ClientSession(headers=OPERATOR) as operator:
        kept = await (await operator.get(f"{gateway.admin_url}/admin/keys")).json()
        await operator.delete(f"{gateway.admin_url}/admin/keys/{kept['keys'][0]['id']}")


async def drain(gateway: OpenGateway, _key: str) -> None:
    await gateway.gateway.edge.drain()


async def event_of(gateway: OpenGateway) -> Mapping[str, Any]:
    async with asyncio.timeout(10):
        while not (found := [e for e in gateway.events() if e["event"] == "request"]):
            await asyncio.sleep(0.01)
    return found[0]


def row_of(data: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(data / "ledger.db")) as db:
        db.row_factory = sqlite3.Row
        row = db.execute("SELECT * FROM requests").fetchone()
        return dict(row) if row else {}


async def ledger_of(gateway: OpenGateway) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while not (row := await asyncio.to_thread(row_of, gateway.log.parent / "data")):
            await asyncio.sleep(0.01)
    return row


@pytest.mark.parametrize(
    ("end", "reason", "code"), [(revoke, "revoked", "invalid_key"), (drain, "draining", "draining")]
)
async def test_a_stream_that_we_cut_says_so_and_tells_the_tokens_that_the_ledger_charges(
    end: End, reason: str, code: str
) -> None:
    async with silent(MIDDLE) as (gateway, key), aiohttp.ClientSession() as client:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{gateway.url}/chat/completions"
        async with client.post(url, json={**HELLO, "stream": True}, headers=headers) as answer:
            await answer.content.readuntil(b"lo.")
            await end(gateway, key)
            rest = await answer.content.read()
        event, row = await event_of(gateway), await ledger_of(gateway)
    assert json.dumps(code).encode() in rest
    assert (event["stream_end"], event["stream_code"], event["code"]) == (reason, code, code)
    assert (event["tokens_in"], event["tokens_out"]) == (row["input"], row["output"])
    assert event["tokens_out"] >= 2
    assert event["cost_usd"] == row["micro_dollars"] / 1e6 > 0
    assert event["counted"] == row["counted"] == "relayed"


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_before_the_first_token_is_charged_by_estimate_without_any_limit(
    stream: bool,
) -> None:
    """The provider may have billed it: nothing would be as wrong as it is cheap."""
    async with silent() as (gateway, key), aiohttp.ClientSession() as client:
        headers = {"authorization": f"Bearer {key}"}
        url, body = f"{gateway.url}/chat/completions", {**HELLO, "stream": stream}
        asking = asyncio.ensure_future(client.post(url, json=body, headers=headers))
        async with asyncio.timeout(10):
            while not gateway.gateway.edge.in_flight:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        asking.cancel()
        row, event = await ledger_of(gateway), await event_of(gateway)
    assert (row["counted"], row["code"], row["output"]) == ("estimated", "client_gone", 100)
    assert row["input"] > 0
    assert row["micro_dollars"] == row["input"] + 10 * 100
    assert event["counted"] == "estimated"
    assert event["tokens_out"] is None, "nobody saw any"


@pytest.mark.parametrize(
    ("answer", "begun", "stream"),
    [(SILENT, False, True), (SILENT, False, False), (MIDDLE, True, True)],
)
@pytest.mark.parametrize("pipeline", [[], [{"stage": "failover", "targets": [{"model": "m"}]}]])
async def test_a_callers_own_deadline_is_nobodys_failure(
    answer: Any, begun: bool, stream: bool, pipeline: list[dict[str, Any]]
) -> None:
    async with silent(answer, pipeline=pipeline) as (gateway, key):
        headers = {"authorization": f"Bearer {key}", "x-turnout-deadline-ms": "300"}
        url, body = f"{gateway.url}/chat/completions", {**HELLO, "stream": stream}
        async with (
            aiohttp.ClientSession() as client,
            client.post(url, json=body, headers=headers) as got,
        ):
            said = await got.read()
        event = await event_of(gateway)
        async with aiohttp.ClientSession(headers=OPERATOR) as operator:
            health = await (await operator.get(f"{gateway.admin_url}/admin/providers")).json()
    assert got.status == (200 if begun else 504)
    assert b'"deadline_exceeded"' in said
    assert (event["code"], event["fault"]) == ("deadline_exceeded", "caller")
    assert event["stream_end"] == ("error" if begun else None)
    for target in health["targets"]:
        assert target["tries"] == (1 if begun else 0), "a failure would be a try more"


async def test_our_own_deadline_is_the_providers_failure() -> None:
    async with (
        open_upstream(lambda _request: SILENT) as upstream,
        open_test_gateway(
            providers={"acme": {"kind": "openai", "base_url": upstream.url}},
            models={"m": {"provider": "acme", "price": PRICE}},
            settings={"limits": {"request": 0.3}},
        ) as gateway,
        aiohttp.ClientSession() as client,
    ):
        headers = {"x-turnout-deadline-ms": "60000"}
        async with client.post(
            f"{gateway.url}/chat/completions", json=HELLO, headers=headers
        ) as got:
            assert got.status == 504
        assert (await event_of(gateway))["fault"] == "upstream"
