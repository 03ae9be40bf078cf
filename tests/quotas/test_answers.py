"""What callers see of limits, and what a reload and an operator's files make of them."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.answers import sse
from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.metered import HELLO, Crowd, chunks, limited_config, open_metered
from tests.fakes.upstream import Part, open_upstream, sse_reply

LIMITS = (
    {"requests": 3, "every": "1m"},
    {"requests": 1000, "each": "day"},
    {"tokens": 10_000, "every": "1m"},
)


async def test_answers_streams_and_refusals_say_how_the_tightest_limits_stand() -> None:
    async with (
        open_metered() as (_, upstream),
        open_test_gateway(**limited_config(upstream, *LIMITS)) as gateway,
    ):
        crowd = Crowd([gateway.url])
        for stream in (False, True, False):
            await crowd.ask(stream=stream)
        (refused,) = await crowd.ask()
    assert [got.headers["x-ratelimit-remaining-requests"] for got in crowd.got] == [*"2100"]
    assert {got.headers["x-ratelimit-limit-requests"] for got in crowd.got} == {"3"}
    first = crowd.got[0].headers
    assert first["x-ratelimit-reset-requests"] == "20s"
    assert first["x-ratelimit-limit-tokens"] == "10000"
    assert first["x-ratelimit-remaining-tokens"] == "9894"
    assert first["x-ratelimit-reset-tokens"] == "636ms"
    assert "retry-after" not in first
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    error = json.loads(refused.body)["error"]
    assert error["type"] == "requests"
    assert "`3 requests per tenant every 1m`" in error["message"]
    assert 19 <= int(refused.headers["retry-after"]) <= 28
    assert 19_000 <= int(refused.headers["retry-after-ms"]) <= 28_000


async def test_anthropics_clients_are_told_in_their_own_words() -> None:
    async with (
        open_metered() as (_, upstream),
        open_test_gateway(**limited_config(upstream, *LIMITS)) as gateway,
    ):
        url = f"{gateway.root}/v1/messages"
        async with aiohttp.ClientSession() as session:
            answers = []
            for _ in range(4):
                async with session.post(url, json=dict(HELLO)) as response:
                    answers.append((response.status, response.headers, await response.json()))
    status, headers, _ = answers[0]
    assert status == 200
    assert headers["anthropic-ratelimit-requests-limit"] == "3"
    assert headers["anthropic-ratelimit-requests-remaining"] == "2"
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
    assert "x-ratelimit-limit-requests" not in headers
    status, headers, body = answers[3]
    assert (status, body["error"]["type"]) == (429, "rate_limit_error")
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"


async def test_a_budget_that_is_spent_says_that_no_try_helps() -> None:
    budget = {"cost": 0.001, "each": "month", "name": "monthly"}
    async with (
        open_metered() as (_, upstream),
        open_test_gateway(**limited_config(upstream, budget)) as gateway,
    ):
        crowd = Crowd([gateway.url])
        await crowd.ask()
        (refused,) = await crowd.ask()
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    error = json.loads(refused.body)["error"]
    assert (error["code"], error["type"]) == ("budget_exceeded", "insufficient_quota")
    assert error["message"].startswith("The budget `monthly` has no room left for the ")


async def test_limits_that_are_only_observed_show_in_log_and_metrics_alone() -> None:
    async with open_metered() as (_, upstream):
        config = limited_config(upstream, {"requests": 1, "every": "1m"}, enforce=False)
        async with open_test_gateway(**config) as gateway:
            crowd = Crowd([gateway.url])
            await crowd.ask()
            (over,) = await crowd.ask()
            metrics = (await gateway.gateway.process.metrics()).decode()
            async with asyncio.timeout(10):
                while len(gateway.events()) < 2:
                    await asyncio.sleep(0.01)
            last = gateway.events()[-1]
    assert over.status == 200
    assert not [name for name in over.headers if "ratelimit" in name]
    assert last["stages"] == ["rate_limit: observed"]
    assert last["limits"] == ["1 requests per tenant every 1m"]
    assert 'turnout_limit_observations_total{limit="1 requests per tenant every 1m"} 1.0' in metrics


async def test_a_request_that_may_wait_is_answered_when_there_is_room() -> None:
    async with open_metered() as (_, upstream):
        config = limited_config(upstream, {"requests": 1, "every": 0.3}, overflow="wait")
        async with open_test_gateway(**config) as gateway:
            answers = await Crowd([gateway.url]).ask(4)
            async with asyncio.timeout(10):
                while len(gateway.events()) < 4:
                    await asyncio.sleep(0.01)
            events = gateway.events()
    assert [got.status for got in answers] == [200] * 4
    queued = sorted(float(got.headers.get("x-turnout-queue-ms", 0)) for got in answers)
    assert queued[0] == 0
    for number, waited in enumerate(queued):
        assert 300 * number - 20 <= waited <= 300 * number + 400
    assert not [event for event in events if event["event"] != "request"]
    waits = [event for event in events if event["stages"] == ["rate_limit: waited"]]
    assert len(waits) == 3
    assert all(event["queue_ms"] > 200 > event["overhead_ms"] for event in waits)


async def test_g02_a_wait_that_does_not_fit_is_refused_at_once_and_nothing_is_sent() -> None:
    async with open_metered() as (meter, upstream):
        config = limited_config(upstream, {"requests": 1, "every": 20}, overflow="wait")
        async with open_test_gateway(**config) as gateway:
            crowd = Crowd([gateway.url], headers={"x-turnout-deadline-ms": "3000"})
            await crowd.ask()
            began = asyncio.get_running_loop().time()
            (refused,) = await crowd.ask()
            took = asyncio.get_running_loop().time() - began
    assert refused.status == 429
    assert 19 <= int(refused.headers["retry-after"]) <= 28
    assert took < 1
    assert meter.calls == 1


def write_policies(gateway: OpenGateway, limit: dict[str, Any]) -> None:
    block = {"stage": "rate_limit", "limits": [limit]}
    fresh = gateway.policies / "default.yaml.new"
    fresh.write_text(json.dumps({"pipeline": [block]}))
    fresh.rename(gateway.policies / "default.yaml")


async def test_h04_a_limit_lowered_from_10_to_5_with_8_under_way() -> None:
    go_on = asyncio.Event()
    events = sse(*chunks(None, ["a"] * 4))
    parts: list[Part] = [*events[:2], go_on, *events[2:], b"data: [DONE]\n\n"]
    async with open_upstream(lambda _: sse_reply(parts)) as upstream:
        config = limited_config(upstream, {"concurrent": 10})
        async with open_test_gateway(**config) as gateway:
            crowd = Crowd([gateway.url])
            eight = asyncio.ensure_future(crowd.ask(8, stream=True))
            await upstream.until_received(8)
            await asyncio.to_thread(write_policies, gateway, {"concurrent": 5})
            report = await gateway.gateway.process.reload()
            assert (report["ok"], report["changed"]) == (True, True)
            (refused,) = await Crowd([gateway.url]).ask()
            assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
            assert not eight.done()
            go_on.set()
            answers = await eight
            assert [got.status for got in answers] == [200] * 8
            assert all(got.body.endswith(b"data: [DONE]\n\n") for got in answers)
            five = await Crowd([gateway.url]).ask(5, stream=True)
            assert [got.status for got in five] == [200] * 5


async def test_a_store_that_cannot_be_written_is_503_and_nothing_is_asked() -> None:
    async with open_metered() as (meter, upstream):
        config = limited_config(upstream, {"requests": 5, "every": "1m"})
        async with open_test_gateway(**config) as gateway:
            file = gateway.log.parent / "data/limits.db"
            lock = await asyncio.to_thread(_lock, file)
            try:
                async with asyncio.timeout(1.5):  # a quarter of a second, on a busy machine more
                    (got,) = await Crowd([gateway.url]).ask()
            finally:
                lock.rollback()
                lock.close()
    assert (got.status, got.code) == (503, "storage_unavailable")
    assert meter.calls == 0


def _lock(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


@pytest.mark.parametrize("way", ["tenant", "policy"])
async def test_tenants_have_counts_of_their_own_and_may_have_limits_of_their_own(way: str) -> None:
    one = {"requests": 1, "every": "1m"}
    async with open_metered() as (_, upstream):
        config = limited_config(upstream, *([one] if way == "policy" else []))
        config["settings"] = {"keys": {"alice": "env:ALICE", "bob": "env:BOB"}}
        environment = {"ALICE": "key-of-alice", "BOB": "key-of-bob"}
        tenants = {"alice": {"limits": [one]} if way == "tenant" else {}, "bob": {}}
        async with open_test_gateway(environment, tenants=tenants, **config) as gateway:
            got = [
                (await asked(gateway, key))
                for key in ("key-of-alice", "key-of-alice", "key-of-bob", "key-of-bob")
            ]
    assert got == ([200, 429, 200, 200] if way == "tenant" else [200, 429, 200, 429])


async def asked(gateway: OpenGateway, key: str) -> int:
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session,
        session.post(f"{gateway.url}/chat/completions", json=dict(HELLO)) as response,
    ):
        return response.status
