"""The kind of embedder that asks a provider."""

import asyncio
from pathlib import Path

import numpy as np

from gateway.providers.simulated.provider import SimulatedConfig
from gateway.semantic.openai import OpenAIEmbedderConfig
from tests.fakes.runtime import real_time_runtime


async def test_it_asks_the_provider_that_it_names() -> None:
    runtime = real_time_runtime()
    config = OpenAIEmbedderConfig(provider="simulated", model="any", dimensions=256)
    assert not config.unusable()
    providers = {"simulated": SimulatedConfig().build("simulated", runtime)}
    embedder = await asyncio.to_thread(config.build, runtime, Path(), providers)
    await embedder.warm()
    same, again, other = await embedder.embed(["one", "one", "two"])
    assert same.vector == again.vector != other.vector
    assert np.frombuffer(same.vector, "<f4").shape == (256,)
    assert not embedder.languages
