"""Callers of /v1/embeddings are served by the embedder of the process, without a key."""

import asyncio
import json
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest

from tests.fakes.gateway import FREE, OpenGateway, open_test_gateway

EMBEDDER = {"embedder": {"kind": "embedder"}}
MINILM = {
    "local/minilm": {
        "provider": "embedder",
        "endpoints": ["embeddings"],
        "price": FREE,
        "capabilities": [],
    }
}


async def _ready(gateway: OpenGateway) -> Any:
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while True:
            async with session.get(f"{gateway.admin_url}/readyz") as response:
                told = json.loads(await response.text())
            if told["ready"]:
                return told
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_openais_sdk_gets_vectors_from_the_local_model() -> None:
    settings = {"embedder": {"kind": "minilm"}}
    opening = open_test_gateway(providers=EMBEDDER, models=MINILM, settings=settings)
    async with opening as gateway:
        told = await _ready(gateway)
        assert "embedder" not in told["warmups"]  # no policy needs it: the first request loads it
        async with openai.AsyncOpenAI(base_url=gateway.url, api_key="none") as client:
            texts = ["How do I reset my password?", "I forgot my password, what now?", "A cat."]
            packed = await client.embeddings.create(model="local/minilm", input=texts)
            plain = await client.embeddings.create(
                model="local/minilm", input=texts[0], encoding_format="float"
            )
            with pytest.raises(openai.BadRequestError, match="token numbers"):
                await client.embeddings.create(model="local/minilm", input=[1, 2, 3])
        rows = np.array([row.embedding for row in packed.data])
        assert rows.shape == (3, 384)
        assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]
        np.testing.assert_allclose(plain.data[0].embedding, rows[0], atol=1e-5)
        assert plain.usage.prompt_tokens == 9


@pytest.mark.slow
async def test_a_policy_that_looks_for_similar_questions_has_it_loaded_also_after_a_reload() -> (
    None
):
    settings = {"embedder": {"kind": "minilm"}}
    async with open_test_gateway(settings=settings) as gateway:
        similar = {"pipeline": [{"stage": "semantic_cache", "semantic": {}}, {"stage": "relay"}]}
        assert (await _ready(gateway))["warmups"] == {}
        file = gateway.policies / "default.yaml"
        await asyncio.to_thread(file.write_text, json.dumps(similar))
        seen = list[str]()
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            while "ready" not in seen:
                async with session.get(f"{gateway.admin_url}/readyz") as response:
                    told = json.loads(await response.text())
                assert told["ready"]  # requests are served all the while
                seen += [each["state"] for each in told["warmups"].values()]
                await asyncio.sleep(0.02)


async def test_without_an_embedder_its_models_say_what_to_do() -> None:
    async with (
        open_test_gateway(providers=EMBEDDER, models=MINILM) as gateway,
        openai.AsyncOpenAI(base_url=gateway.url, api_key="none") as client,
    ):
        with pytest.raises(openai.NotFoundError, match="Choose another `embedder:` than none"):
            await client.embeddings.create(model="local/minilm", input="Hello!")
