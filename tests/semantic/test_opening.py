"""Embedder and index of a process."""

from pathlib import Path

import pytest

from gateway.core.embedding import EmbedderUnavailable
from gateway.providers.simulated.provider import SimulatedConfig
from gateway.semantic.base import NoEmbedder
from gateway.semantic.openai import OpenAIEmbedderConfig
from gateway.semantic.opening import open_semantic
from gateway.semantic.sentence_transformers import SentenceTransformersConfig
from tests.fakes.runtime import make_runtime, real_time_runtime

REMOTE = OpenAIEmbedderConfig(provider="simulated", model="any", dimensions=256, timeout=3)


class Warned:
    def __init__(self) -> None:
        self.cures: list[object] = []

    def __call__(self, event: str, **fields: object) -> None:
        self.cures.append(fields["cure"])


async def test_what_is_embedded_can_be_found() -> None:
    runtime = real_time_runtime()
    providers = {"simulated": SimulatedConfig().build("simulated", runtime)}
    async with open_semantic(REMOTE, runtime, Path(), providers, Warned()) as semantic:
        assert semantic is not None
        await semantic.warm()
        (embedded,) = await semantic.embedder.embed(["one"])
        assert semantic.index.add("scope", "name", embedded.vector, "acme")
        (near,) = await semantic.index.search("scope", embedded.vector, 3)
        assert near.id == "name"
        assert semantic.timeout == 3


async def test_none_is_none_without_a_word() -> None:
    warned = Warned()
    async with open_semantic(NoEmbedder(), make_runtime(), Path(), {}, warned) as semantic:
        assert semantic is None
    assert not warned.cures


async def test_what_is_not_installed_is_none_with_its_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.semantic.base.find_spec", lambda _: None)
    config, warned = SentenceTransformersConfig(model="m", dimensions=8), Warned()
    async with open_semantic(config, make_runtime(), Path(), {}, warned) as semantic:
        assert semantic is None
    assert warned.cures == ["run `pip install turnout[semantic,sentence-transformers]`"]


async def test_warming_fails_as_the_embedder_does() -> None:
    runtime = real_time_runtime()
    async with open_semantic(REMOTE, runtime, Path(), {}, Warned()) as semantic:
        assert semantic is not None
        with pytest.raises(EmbedderUnavailable):
            await semantic.warm()
