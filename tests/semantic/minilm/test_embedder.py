"""The embedder as the gateway opens it."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.embedding import EmbedderUnavailable
from gateway.semantic.minilm import weights
from gateway.semantic.minilm.embedder import MiniLMConfig, open_minilm, processor
from tests.fakes.runtime import make_runtime


async def test_it_embeds_once_it_is_warm(built: Path) -> None:
    embedder = await asyncio.to_thread(MiniLMConfig().build, make_runtime(), built, {})
    with pytest.raises(EmbedderUnavailable, match="still loading"):
        await embedder.embed(["Hello!"])
    await embedder.warm()
    (embedded,) = await embedder.embed(["Hello!"])
    assert len(embedded.vector) == 4 * embedder.dimensions
    assert embedder.languages == {"latin"}
    await embedder.aclose()


async def test_weights_that_were_tampered_with_make_it_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "find_folder", lambda: tmp_path)
    embedder = await asyncio.to_thread(open_minilm, tmp_path)
    with pytest.raises(EmbedderUnavailable, match="cannot be read"):
        await embedder.warm()
    with pytest.raises(EmbedderUnavailable, match="cannot be read"):
        await embedder.embed(["Hello!"])
    await embedder.aclose()


def test_what_is_installed_is_usable_here() -> None:
    assert not MiniLMConfig().unusable()


def test_processors_that_round_differently_have_different_fingerprints(tmp_path: Path) -> None:
    plain, vector = tmp_path / "plain", tmp_path / "vector"
    plain.write_text("processor : 0\nflags : fpu sse2 avx2\n")
    vector.write_text("processor : 0\nflags : fpu sse2 avx512_vnni avx512f avx2 sse2\n")
    assert processor(plain).endswith("+avx2")
    assert processor(vector).endswith("+avx2+avx512_vnni+avx512f")


def test_a_machine_that_tells_nothing_still_has_a_name(tmp_path: Path) -> None:
    assert processor(tmp_path / "missing")
