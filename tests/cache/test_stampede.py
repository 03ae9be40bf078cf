"""B08 and the books, over HTTP: one call, one bill, and hits that cost nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.metered import (
    HELLO,
    Crowd,
    Meter,
    counted,
    ledger,
    limited_config,
)
from tests.fakes.upstream import Answer, Received, open_upstream

STATE = {"state": {"kind": "sqlite"}}


@asynccontextmanager
async def cached(
    *limits: dict[str, Any], slow: float = 0.0, **policy: Any
) -> AsyncIterator[tuple[Meter, OpenGateway]]:
    """A gateway with limits and a cache in front of an upstream that may take its time."""
    meter = Meter()

    def answer(request: Received) -> Answer:
        given = meter.answer(request)
        return Answer([slow, *given.parts]) if slow else given

    async with open_upstream(answer) as upstream:
        config = limited_config(upstream, *limits)
        config["pipeline"].append({"stage": "semantic_cache", **policy})
        async with open_test_gateway(**config, settings=STATE) as gateway:
            yield meter, gateway


def chat(gateway: OpenGateway) -> Crowd:
    return Crowd([gateway.url])


async def settled(gateway: OpenGateway, requests: int) -> dict[str, Any]:
    """The ledger, once it has so many requests."""
    async with asyncio.timeout(10):
        while True:
            sums = await asyncio.to_thread(ledger, gateway.log.parent / "data")
            if sums["requests"][0] >= requests:
                return sums
            await asyncio.sleep(0.05)


async def test_b08_a_hundred_equal_requests_are_one_call_and_one_bill() -> None:
    async with cached({"tokens": 100_000, "every": "1h"}, slow=0.3) as (meter, gateway):
        crowd = chat(gateway)
        answers = await crowd.ask(100)
        assert [each.status for each in answers] == [200] * 100
        assert meter.calls == 1
        results = sorted(each.headers["x-turnout-cache"] for each in answers)
        assert results == ["hit-exact"] * 99 + ["miss"]
        assert len({json.loads(each.body)["id"] for each in answers}) == 100
        sums = await settled(gateway, 100)
        assert sums["requests"] == (100, 9, 100, 1_000)
        assert sums["attempts"] == (1, 9, 100, 1_000)


async def test_a_hit_counts_as_a_request_and_costs_no_tokens_and_no_money() -> None:
    async with cached(
        {"requests": 3, "each": "day"},
        {"tokens": 10_000, "each": "day"},
        {"cost": 1, "each": "day"},
    ) as (_, gateway):
        crowd = chat(gateway)
        await crowd.ask()
        await crowd.ask()
        (answer,) = await crowd.ask()
        assert answer.headers["x-turnout-cost"] == "0.000000"
        assert answer.headers["x-turnout-attempts"] == "0"
        assert answer.headers["x-turnout-provider"] == "acme"
        (refused,) = await crowd.ask()
        assert (refused.status, refused.code) == (429, "budget_exceeded")
        sums = await settled(gateway, 3)
        assert sums["requests"] == (3, 9, 100, 1_000)
        spent = await asyncio.to_thread(counted, gateway.log.parent / "data")
        assert sorted(spent) == [(3, 0), (109, 0), (1_000, 0)]


async def test_the_log_says_what_the_cache_did_and_what_that_saved() -> None:
    async with cached() as (_, gateway):
        crowd = chat(gateway)
        await crowd.ask()
        await crowd.ask()
        await settled(gateway, 2)
        miss, hit = [e for e in gateway.events() if e["event"] == "request"]
        metrics = await _get(gateway.admin_url + "/metrics")
    assert (miss["cache"], miss["saved_usd"], miss["cost_usd"]) == ("miss", None, 0.001)
    assert (hit["cache"], hit["saved_usd"], hit["cost_usd"]) == ("hit-exact", 0.001, None)
    assert hit["cache_id"].startswith("ans-")
    assert (hit["answered_model"], hit["attempts"], hit["counted"]) == ("m", 0, None)
    assert hit["stages"] == ["rate_limit: unlimited", "semantic_cache: hit-exact"]
    assert 'turnout_cache_requests_total{result="hit-exact",tenant="local"} 1.0' in metrics
    assert 'turnout_cache_saved_micro_dollars_total{tenant="local"} 1000.0' in metrics
    assert "turnout_cache_entries 1.0" in metrics


async def test_a_leader_whose_client_leaves_harms_nobody() -> None:
    async with cached(slow=0.5) as (meter, gateway):
        leader = asyncio.create_task(_post(gateway, timeout=0.2))
        await asyncio.sleep(0.1)
        others = asyncio.create_task(chat(gateway).ask(10))
        with pytest.raises(TimeoutError):
            await leader
        answers = await others
        sums = await settled(gateway, 10)
    assert [each.status for each in answers] == [200] * 10
    assert meter.calls == 1
    assert sums["requests"] == (10, 9, 100, 1_000)
    assert sums["attempts"] == (1, 9, 100, 1_000)


async def test_a_renewal_behind_the_callers_back_is_charged_and_logged_as_any_request() -> None:
    async with cached(ttl=0.2, jitter=0, stale_while_revalidate=60) as (meter, gateway):
        crowd = chat(gateway)
        await crowd.ask()
        await asyncio.sleep(0.3)
        (stale,) = await crowd.ask()
        assert stale.headers["x-turnout-cache-reason"] == "stale"
        sums = await settled(gateway, 3)
    assert meter.calls == 2
    assert sums["requests"] == (3, 18, 200, 2_000)


async def test_a_stored_stream_reaches_the_official_shape_with_its_explanation() -> None:
    async with cached() as (meter, gateway):
        crowd = chat(gateway)
        await crowd.ask(stream=True)
        (again,) = await crowd.ask(stream=True, stream_options={"include_usage": True})
    assert meter.calls == 1
    assert again.headers["x-turnout-cache"] == "hit-exact"
    assert b": turnout cost=0.000000 overhead-ms=" in again.body
    assert b'"total_tokens":109' in again.body
    assert again.body.endswith(b"data: [DONE]\n\n")


async def test_only_a_stored_answer_or_504_that_no_sdk_repeats() -> None:
    async with cached() as (meter, gateway):
        crowd = chat(gateway)
        crowd.headers = {"x-turnout-cache": "only"}
        (answer,) = await crowd.ask()
    assert (answer.status, answer.code) == (504, "not_cached")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-turnout-cache"] == "miss"
    assert meter.calls == 0


async def _post(gateway: OpenGateway, timeout: float) -> None:
    patience, url = aiohttp.ClientTimeout(total=timeout), gateway.url + "/chat/completions"
    async with (
        aiohttp.ClientSession(timeout=patience) as session,
        session.post(url, json=dict(HELLO)) as response,
    ):
        await response.read()


async def _get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()
