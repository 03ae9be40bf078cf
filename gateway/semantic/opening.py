"""The embedder and the index of a process, from its configuration."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gateway.core.embedding import Embedder
from gateway.core.ports import Provider, Runtime
from gateway.semantic import AnyEmbedder
from gateway.semantic.base import NoEmbedder

if TYPE_CHECKING:
    from gateway.semantic.index.index import Index


class Warn(Protocol):
    """Tells people about what is not as they may think."""

    def __call__(self, event: str, **fields: object) -> None: ...


class Semantic(Struct, frozen=True):
    """What finds near texts."""

    embedder: Embedder
    index: "Index"
    timeout: float
    """Seconds that start waits for `warm`."""

    async def warm(self) -> None:
        """Load both. Raises EmbedderUnavailable."""
        await self.embedder.warm()
        await self.index.warm()


@asynccontextmanager
async def open_semantic(
    config: AnyEmbedder,
    runtime: Runtime,
    data: Path,
    providers: Mapping[str, Provider],
    warn: Warn,
) -> AsyncIterator[Semantic | None]:
    """Yield both until the end of the block; None where there is no embedder or it cannot be."""
    if isinstance(config, NoEmbedder):
        yield None
        return
    if cure := config.unusable():
        warn("there is no embedder: the cache finds equal questions only", cure=cure)
        yield None
        return
    embedder = await asyncio.to_thread(config.build, runtime, data, providers)
    index = await asyncio.to_thread(_index, embedder.dimensions, config.index_bytes)
    keeping = runtime.spawn("sweep the index", index.keep(runtime.clock))
    try:
        yield Semantic(embedder, index, config.timeout)
    finally:
        keeping.cancel()
        await embedder.aclose()
        await index.aclose()


def _index(dimensions: int, budget: int) -> "Index":
    from gateway.semantic.index.index import Index  # noqa: PLC0415 - numpy takes 0.1 s, off the loop

    return Index(dimensions, budget)
