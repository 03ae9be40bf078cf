"""The process's embedder for callers of /v1/embeddings."""

import json
from base64 import b64decode
from struct import unpack
from typing import Any

import pytest

from gateway.core.catalogue import Model, Target
from gateway.core.chat import parse_request
from gateway.core.errors import (
    BadRequest,
    CapabilityMissing,
    GatewayError,
    UpstreamBroken,
    UpstreamTimeout,
)
from gateway.core.ports import Call
from gateway.core.reply import Usage, Whole
from gateway.providers.embedder import (
    MOST,
    TRUNCATED,
    EmbedderProvider,
    EmbedderProviderConfig,
    lend,
)
from gateway.providers.simulated.provider import SimulatedConfig
from tests.fakes.embedder import FakeEmbedder
from tests.fakes.runtime import real_time_runtime


def _call(deadline: float = 1e12, endpoint: Any = "embeddings", **fields: Any) -> Call:
    body = json.dumps({"model": "local/minilm", **fields}).encode()
    model = Model(provider="embedder", name="local/minilm", endpoints=("embeddings",))
    return Call("req-1", parse_request(endpoint, body), Target(model), deadline)


def _provider(embedder: FakeEmbedder | None = None) -> EmbedderProvider:
    provider = EmbedderProviderConfig().build("embedder", real_time_runtime())
    assert isinstance(provider, EmbedderProvider)
    lend(embedder or FakeEmbedder(), {"embedder": provider})
    return provider


async def _ask(embedder: FakeEmbedder | None = None, **fields: Any) -> tuple[Whole, Any]:
    reply = await _provider(embedder).send(_call(**fields))
    assert isinstance(reply, Whole)
    return reply, json.loads(reply.body)


async def test_a_text_gets_one_vector_in_openais_shape() -> None:
    embedder = FakeEmbedder()
    reply, answer = await _ask(embedder, input="Hello there!")
    (row,) = answer["data"]
    assert (answer["object"], answer["model"]) == ("list", "local/minilm")
    assert (row["object"], row["index"]) == ("embedding", 0)
    (embedded,) = await embedder.embed(["Hello there!"])
    assert tuple(row["embedding"]) == unpack("<8f", embedded.vector)
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert reply.usage == Usage(input=2)
    assert (reply.answered.provider, reply.answered.model) == ("embedder", "local/minilm")
    assert not reply.answered.degraded


@pytest.mark.parametrize("count", [1, 3, 40])
async def test_a_list_gets_a_vector_each_in_order_also_as_base64(count: int) -> None:
    texts = [f"text {n}" for n in range(count)]
    _, plain = await _ask(input=texts)
    _, packed = await _ask(input=texts, encoding_format="base64")
    assert [row["index"] for row in plain["data"]] == list(range(count))
    assert [unpack("<8f", b64decode(row["embedding"])) for row in packed["data"]] == [
        tuple(row["embedding"]) for row in plain["data"]
    ]
    assert plain["usage"]["prompt_tokens"] == 2 * count


async def test_a_text_that_is_too_long_for_the_model_is_told() -> None:
    reply, _ = await _ask(input=["short", "long " * 20])
    assert reply.answered.degraded == (TRUNCATED,)


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"input": [1, 2, 3]}, "input[0]", "does not take token numbers"),
        ({"input": [[1, 2], [3]]}, "input[0]", "does not take token numbers"),
        ({"input": ["a", 7]}, "input[1]", "does not take token numbers"),
        ({"input": ["a", ""]}, "input[1]", "not empty"),
        ({"input": ["a", None]}, "input[1]", "not empty"),
        ({"input": ["a"] * (MOST + 1)}, "input", "at most 2048 texts"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "float or base64"),
        ({"input": "a", "dimensions": 4}, "dimensions", "left out, or 8"),
    ],
)
async def test_what_it_cannot_do_is_refused_by_name(
    fields: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        await _ask(**fields)
    assert refused.value.param == param


async def test_its_own_number_of_dimensions_may_be_said() -> None:
    _, answer = await _ask(input="a", dimensions=8)
    assert len(answer["data"][0]["embedding"]) == 8


async def test_it_does_not_chat() -> None:
    with pytest.raises(CapabilityMissing):
        await _provider().send(_call(endpoint="completions", prompt="Hello!"))


async def test_an_embedder_that_fails_or_is_not_there_is_an_upstream_that_is_broken() -> None:
    embedder = FakeEmbedder()
    embedder.problem = "it is still loading"
    with pytest.raises(UpstreamBroken, match="still loading") as failed:
        await _ask(embedder, input="a")
    assert failed.value.code == "embedder_unavailable"
    lonely = EmbedderProviderConfig().build("embedder", real_time_runtime())
    with pytest.raises(GatewayError, match="there is no embedder"):
        await lonely.send(_call(input="a"))
    await lonely.warm()
    await lonely.aclose()


async def test_it_answers_within_the_deadline_or_not_at_all() -> None:
    embedder = FakeEmbedder()
    embedder.stuck = True
    deadline = real_time_runtime().clock.monotonic() + 0.02
    with pytest.raises(UpstreamTimeout):
        await _provider(embedder).send(_call(deadline, input="a"))


def test_only_providers_that_serve_it_are_lent_the_embedder() -> None:
    runtime = real_time_runtime()
    mine, other = EmbedderProvider("e", runtime.clock), SimulatedConfig().build("s", runtime)
    embedder = FakeEmbedder()
    lend(embedder, {"e": mine, "s": other})
    assert mine.embedder is embedder
    assert not hasattr(other, "embedder")
