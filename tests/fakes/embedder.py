"""An embedder in memory: the same text always has the same vector, and every letter counts."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from struct import pack

from gateway.core.embedding import Embedded, EmbedderUnavailable

WINDOW = 10
"""Words that it reads."""


class FakeEmbedder:
    fingerprint = "fake-1"
    languages = frozenset({"latin"})

    def __init__(self, dimensions: int = 8) -> None:
        self.dimensions = dimensions
        self.problem = ""
        self.stuck = False
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        self.asked += texts
        if self.stuck:
            await asyncio.Event().wait()
        if self.problem:
            raise EmbedderUnavailable(self.problem)
        return [self._one(text) for text in texts]

    async def warm(self) -> None:
        await self.embed(["warm"])

    async def aclose(self) -> None:
        self.problem = "it is closed"

    def _one(self, text: str) -> Embedded:
        words = text.split()
        seed = blake2b(" ".join(words[:WINDOW]).encode()).digest()
        chance = Random(seed)
        raw = [chance.gauss(0, 1) for _ in range(self.dimensions)]
        norm = sum(x * x for x in raw) ** 0.5
        vector = pack(f"<{self.dimensions}f", *(x / norm for x in raw))
        return Embedded(vector, len(words), truncated=len(words) > WINDOW)
