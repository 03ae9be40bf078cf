"""Similar questions with the real embedder and index, over HTTP and across a restart."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.policy.setup import load_setup
from tests.fakes.gateway import OpenGateway, serve_setup, write_config
from tests.fakes.metered import HELLO, limited_config, open_metered

pytest.importorskip("onnxruntime", reason="the extra `semantic` is not installed")
pytest.importorskip("faiss", reason="the extra `semantic` is not installed")


async def until(gateway: OpenGateway, page: str, text: str) -> None:
    """Wait until one of the admin's pages says this."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            async with session.get(gateway.admin_url + page) as response:
                if text in await response.text():
                    return
            await asyncio.sleep(0.05)


async def ask(gateway: OpenGateway, text: str, **fields: Any) -> Mapping[str, str]:
    url = gateway.url + "/chat/completions"
    body = {**HELLO, "messages": [{"role": "user", "content": text}], **fields}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert response.status == 200
        await response.read()
        return response.headers


@pytest.mark.slow
async def test_a_similar_question_is_answered_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with open_metered() as (meter, upstream):
        config = limited_config(upstream)
        config["pipeline"].append(
            {"stage": "semantic_cache", "semantic": {"audit_rate": 0}, "lookup_timeout_ms": 5000}
        )
        settings = {"embedder": {"kind": "minilm"}, "state": {"kind": "sqlite"}}

        def load() -> Any:
            write_config(tmp_path, **config, settings=settings)
            return load_setup(tmp_path / "config", tmp_path / "policies", {})

        setup = await asyncio.to_thread(load)
        async with serve_setup(setup, tmp_path / "log") as gateway:
            await until(gateway, "/readyz", '"ready":true')
            await ask(gateway, "What is the capital of France?")
            similar = await ask(gateway, "What is the capital city of France?")
            other = await ask(gateway, "What is the capital of Spain?")
            assert similar["x-turnout-cache"] == "hit-semantic"
            assert similar["x-turnout-cost"] == "0.000000"
            assert other["x-turnout-cache"] == "miss"
            warm = await ask(gateway, "What is the capital city of France?", temperature=0.9)
            assert warm["x-turnout-cache-reason"] == "temperature"
        async with serve_setup(setup, tmp_path / "log") as gateway:
            await until(gateway, "/readyz", '"ready":true')
            await until(gateway, "/metrics", "turnout_cache_entries 3.0")
            similar = await ask(gateway, "What is the capital city of France?")
            same = await ask(gateway, "What is the capital of Spain?")
            assert similar["x-turnout-cache"] == "hit-semantic"
            assert same["x-turnout-cache"] == "hit-exact"
    assert meter.calls == 3
