"""The kind of embedder that brings torch: what it says without it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.core.embedding import EmbedderUnavailable
from gateway.semantic.sentence_transformers import SentenceTransformersConfig
from tests.fakes.runtime import make_runtime

INSTALLED = find_spec("sentence_transformers") is not None
CONFIG = SentenceTransformersConfig(model="a-model", dimensions=384)


@pytest.mark.skipif(INSTALLED, reason="sentence-transformers is installed")
def test_without_the_library_it_names_the_cure() -> None:
    assert "pip install turnout[semantic,sentence-transformers]" in CONFIG.unusable()


async def test_what_cannot_be_loaded_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.semantic.sentence_transformers.version", lambda _: "0.0")
    monkeypatch.setitem(__import__("sys").modules, "gateway.semantic.torch_engine", None)
    embedder = CONFIG.build(make_runtime(), Path(), {})
    assert embedder.fingerprint == "sentence-transformers-0.0-a-model-384"
    with pytest.raises(EmbedderUnavailable, match="ModuleNotFoundError"):
        await embedder.warm()
    await embedder.aclose()
