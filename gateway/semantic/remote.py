"""Vectors from an upstream's `/v1/embeddings`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from gateway.core import wire
from gateway.core.catalogue import Model, Target
from gateway.core.chat import ChatRequest
from gateway.core.embedding import Embedded, EmbedderUnavailable
from gateway.core.errors import GatewayError
from gateway.core.ports import Call, Provider, Runtime
from gateway.core.reply import Whole

LONGEST: Final = 8192
"""Characters that are sent of one text."""
MOST_CALLS: Final = 64
"""Requests that may be under way; a further one is refused."""
_TEXTS: Final = 256
_PATIENCE: Final = 10.0
_CHARACTERS_A_TOKEN: Final = 4


class _Row(Struct):
    index: int
    embedding: list[float]


class _Answer(Struct):
    data: list[_Row]


class RemoteEmbedder:
    """Asks a provider. What fails is not tried again: the cache then does without."""

    languages: frozenset[str] = frozenset()

    def __init__(
        self,
        provider: str,
        model: str,
        dimensions: int,
        runtime: Runtime,
        providers: Mapping[str, Provider],
    ) -> None:
        self.fingerprint = f"openai-{provider}-{model}-{dimensions}"
        self.dimensions = dimensions
        self._provider = providers.get(provider)
        self._target = Target(Model(provider=provider, name=model, endpoints=("embeddings",)))
        self._runtime = runtime
        self._calls = 0

    async def embed(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        """Return one vector a text, in order. Raises EmbedderUnavailable; cancelling is safe."""
        embedded: list[Embedded] = []
        for start in range(0, len(texts), _TEXTS):
            embedded += await self._some(texts[start : start + _TEXTS])
        return embedded

    async def warm(self) -> None:
        """Embed a word. Raises EmbedderUnavailable; a later `embed` may still succeed."""
        await self.embed(["warm"])

    async def aclose(self) -> None:
        """Do nothing: the provider closes its connections."""

    async def _some(self, texts: Sequence[str]) -> list[Embedded]:
        if self._calls >= MOST_CALLS:
            raise EmbedderUnavailable("too many texts wait already")
        self._calls += 1
        try:
            rows = await self._ask([text[:LONGEST] for text in texts])
        finally:
            self._calls -= 1
        return [
            Embedded(self._unit(row), _estimate(text), truncated=len(text) > LONGEST)
            for text, row in zip(texts, rows, strict=True)
        ]

    async def _ask(self, texts: list[str]) -> list[list[float]]:
        if self._provider is None:
            raise EmbedderUnavailable("its provider is not served here")
        fields: dict[str, Any] = {"model": self._target.model.name, "input": texts}
        fields["encoding_format"] = "float"
        request = ChatRequest("embeddings", wire.encode(fields), fields, fields["model"])
        deadline = self._runtime.clock.monotonic() + _PATIENCE
        try:
            reply = await self._provider.send(
                Call(self._runtime.new_id(), request, self._target, deadline)
            )
        except GatewayError as error:
            raise EmbedderUnavailable(str(error)) from error
        return _rows(reply.body if isinstance(reply, Whole) else b"", len(texts))

    def _unit(self, row: list[float]) -> bytes:
        """Return the row with norm 1. Raises EmbedderUnavailable."""
        if len(row) != self.dimensions:
            what = f"it makes vectors of {len(row)}, and `dimensions` says {self.dimensions}"
            raise EmbedderUnavailable(what)
        vector = np.array(row, np.float64)
        norm = float(np.sqrt(np.vecdot(vector, vector)))
        if not 0 < norm < np.inf:
            raise EmbedderUnavailable("it made a vector that points nowhere")
        return (vector / norm).astype("<f4").tobytes()


def _rows(body: bytes, count: int) -> list[list[float]]:
    """Return the vectors in the order of their texts. Raises EmbedderUnavailable."""
    try:
        data = sorted(wire.decode_as(body, _Answer).data, key=lambda row: row.index)
    except ValueError as error:
        raise EmbedderUnavailable("its answer holds no vectors") from error
    if [row.index for row in data] != list(range(count)):
        raise EmbedderUnavailable("its answer does not hold one vector a text")
    return [row.embedding for row in data]


def _estimate(text: str) -> int:
    return max(1, len(text) // _CHARACTERS_A_TOKEN)
