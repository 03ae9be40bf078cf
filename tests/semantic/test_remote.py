"""Vectors from an upstream, over real sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np
import pytest

from gateway.core.embedding import EmbedderUnavailable
from gateway.core.ports import Provider
from gateway.core.secret import Secret
from gateway.providers.openai import OpenAIConfig
from gateway.semantic import remote
from gateway.semantic.remote import LONGEST, RemoteEmbedder
from tests.fakes.runtime import real_time_runtime
from tests.fakes.upstream import (
    STALL,
    Answer,
    ScriptedUpstream,
    json_reply,
    open_upstream,
    raw_reply,
)


def _rows(*vectors: list[float]) -> Answer:
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    return json_reply({"object": "list", "data": data[::-1], "model": "m", "usage": {}})


def _embedder(providers: Mapping[str, Provider]) -> RemoteEmbedder:
    return RemoteEmbedder("away", "m", 2, real_time_runtime(), providers)


@asynccontextmanager
async def _open(*answers: Answer) -> AsyncIterator[tuple[RemoteEmbedder, ScriptedUpstream]]:
    async with open_upstream(answers) as upstream:
        config = OpenAIConfig(base_url=upstream.url, api_key=Secret("sk-1234", "test"))
        provider = config.build("away", real_time_runtime())
        try:
            yield _embedder({"away": provider}), upstream
        finally:
            await provider.aclose()


async def test_vectors_come_back_in_the_order_of_their_texts_with_norm_one() -> None:
    async with _open(_rows([3, 4], [0, 2])) as (embedder, upstream):
        first, second = await embedder.embed(["four", "eight" * 8])
        np.testing.assert_allclose(np.frombuffer(first.vector, "<f4"), [0.6, 0.8])
        np.testing.assert_allclose(np.frombuffer(second.vector, "<f4"), [0, 1])
        assert (first.tokens, second.tokens) == (1, 10)
        (request,) = upstream.requests
        assert request.path == "/v1/embeddings"
        assert request.json == {
            "model": "m",
            "input": ["four", "eight" * 8],
            "encoding_format": "float",
        }


async def test_many_texts_are_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_TEXTS", 2)
    async with _open(_rows([1, 0], [0, 1]), _rows([1, 0])) as (embedder, upstream):
        assert len(await embedder.embed(["a", "b", "c"])) == 3
        assert [r.json["input"] for r in upstream.requests] == [["a", "b"], ["c"]]


async def test_a_huge_text_is_cut_before_it_leaves_and_says_so() -> None:
    async with _open(_rows([1, 0])) as (embedder, upstream):
        (embedded,) = await embedder.embed(["x" * 1_000_000])
        assert embedded.truncated
        assert len(upstream.requests[0].json["input"][0]) == LONGEST


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_rows([1, 0, 0]), "vectors of 3, and `dimensions` says 2"),
        (_rows([0, 0]), "points nowhere"),
        (_rows([1, 0], [0, 1]), "one vector a text"),
        (_rows(), "one vector a text"),
        (json_reply({"data": [7]}), "no vectors"),
        (json_reply({"data": [{"index": 0, "embedding": "AAAA"}]}), "no vectors"),
        (json_reply({"error": {"message": "no"}}, status=500), "answered 500"),
    ],
    ids=["longer", "zero", "too many", "none", "no list", "packed", "error"],
)
async def test_an_answer_that_is_none_makes_it_unavailable(answer: Answer, said: str) -> None:
    async with _open(answer) as (embedder, _):
        with pytest.raises(EmbedderUnavailable, match=said):
            await embedder.embed(["a"])


async def test_only_so_many_requests_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST_CALLS", 0)
    async with _open() as (embedder, _):
        with pytest.raises(EmbedderUnavailable, match="too many"):
            await embedder.embed(["a"])


async def test_it_gives_up_after_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PATIENCE", 0.05)
    async with _open(raw_reply([STALL])) as (embedder, _):
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed(["a"])


async def test_warming_asks_once_and_a_provider_that_is_not_served_says_so() -> None:
    async with _open(_rows([1, 0])) as (embedder, upstream):
        await embedder.warm()
        assert len(upstream.requests) == 1
        await embedder.aclose()
    with pytest.raises(EmbedderUnavailable, match="not served here"):
        await _embedder({}).warm()


def test_fingerprints_differ_by_provider_model_and_length() -> None:
    def name(provider: str, model: str, dimensions: int) -> str:
        runtime = real_time_runtime()
        return RemoteEmbedder(provider, model, dimensions, runtime, {}).fingerprint

    assert len({name("a", "m", 2), name("b", "m", 2), name("a", "n", 2), name("a", "m", 3)}) == 4
