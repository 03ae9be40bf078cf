"""Audits over HTTP with the real embedder: who pays, what the ledger says, what operators see."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.setup import load_setup
from tests.cache.test_similar import ask, until
from tests.fakes.gateway import serve_setup, write_config
from tests.fakes.metered import Meter, limited_config, open_metered
from tests.fakes.upstream import Answer, Received, open_upstream, raw_reply

pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
pytest.importorskip("faiss", reason="the extra `semantic` is not installed")

FIRST, NEAR = "What is the capital of France?", "What is the capital city of France?"
OTHER = "What's the capital of France?"


def load(folder: Path, config: dict[str, Any], judge: str | None = None, **settings: Any) -> Any:
    semantic = {"audit_rate": 1.0, "judge": judge}
    config["pipeline"].append(
        {"stage": "semantic_cache", "semantic": semantic, "lookup_timeout_ms": 5000}
    )
    kinds = {"embedder": {"kind": "minilm"}, "state": {"kind": "sqlite"}, **settings}
    write_config(folder, **config, settings=kinds)
    return load_setup(folder / "config", folder / "policies", {})


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    (file,) = folder.rglob("ledger.db")
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
async def test_an_audit_is_limited_charged_and_logged_as_what_it_is(tmp_path: Path) -> None:
    async with open_metered() as (meter, upstream):
        limit = {"requests": 4, "every": "1h"}
        config = limited_config(upstream, limit)
        setup = await asyncio.to_thread(load, tmp_path, config)
        async with serve_setup(setup, tmp_path / "log") as gateway:
            await until(gateway, "/readyz", '"ready":true')
            await ask(gateway, FIRST)
            similar = await ask(gateway, NEAR)
            assert similar["x-turnout-cache"] == "hit-semantic"
            assert similar["x-turnout-cache-risk"] == "unproven"
            assert similar["x-turnout-cost"] == "0.000000"
            what = 'turnout_cache_events_total{kind="audit",what="same"} 1.0'
            await until(gateway, "/metrics", what)
            await until(gateway, "/metrics", "turnout_cache_false_hit_bound{")
            assert meter.calls == 2
            # The fourth request is the last that the limit has room for: its audit has none.
            assert (await ask(gateway, OTHER))["x-turnout-cache"] == "hit-semantic"
            what = 'turnout_cache_events_total{kind="audit",what="refused"} 1.0'
            await until(gateway, "/metrics", what)
            assert meter.calls == 2
            await asyncio.sleep(0.2)
            audited = await asyncio.to_thread(
                rows, tmp_path, "SELECT status, micro_dollars FROM requests WHERE id LIKE 'audit-%'"
            )
            assert audited == [(200, 1000)]
            tries = await asyncio.to_thread(
                rows, tmp_path, "SELECT number FROM attempts WHERE request LIKE 'audit-%'"
            )
            assert tries == [(1,)]
            await until(gateway, "/metrics", "turnout_cache_semantic_threshold{")


@pytest.mark.slow
async def test_a_budget_is_charged_the_judge_and_what_it_judged(tmp_path: Path) -> None:
    async with open_metered() as (meter, upstream):
        meter.words = ("Paris.", "It is Paris, of course.", "A", "Hello.")
        config = limited_config(upstream, {"output_tokens": 10_000, "each": "day"})
        setup = await asyncio.to_thread(load, tmp_path, config, "m")
        async with serve_setup(setup, tmp_path / "log") as gateway:
            await until(gateway, "/readyz", '"ready":true')
            await ask(gateway, FIRST)
            assert (await ask(gateway, NEAR))["x-turnout-cache"] == "hit-semantic"
            what = 'turnout_cache_events_total{kind="audit",what="same"} 1.0'
            await until(gateway, "/metrics", what)
            assert meter.tokens_out == 100 + 100 + 1
            left = (await ask(gateway, "Hello!"))["x-ratelimit-remaining-tokens"]
            assert int(left) == 10_000 - meter.tokens_out


@pytest.mark.slow
async def test_an_audit_that_is_cut_when_the_gateway_stops_is_in_the_ledger(tmp_path: Path) -> None:
    meter, gate = Meter(), asyncio.Event()

    def answer(request: Received) -> Answer:
        told = meter.answer(request)
        return told if meter.calls == 1 else raw_reply([gate])

    async with open_upstream(answer) as upstream:
        config = limited_config(upstream, {"cost": 1, "each": "day"})
        setup = await asyncio.to_thread(load, tmp_path, config)
        async with serve_setup(setup, tmp_path / "log") as gateway:
            await until(gateway, "/readyz", '"ready":true')
            await ask(gateway, FIRST)
            assert (await ask(gateway, NEAR))["x-turnout-cache"] == "hit-semantic"
            await upstream.until_received(2)
        query = "SELECT code, counted, micro_dollars FROM requests WHERE id LIKE 'audit-%'"
        audited = await asyncio.to_thread(rows, tmp_path, query)
        assert audited == [("draining", "reserved", 1000)]
        gate.set()
