"""Any model of the sentence-transformers library, in this process: brings torch."""

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from gateway.core.embedding import Embedder
from gateway.core.ports import Provider, Runtime
from gateway.semantic.base import Dimensions, EmbedderConfig, not_installed
from gateway.semantic.batches import Engine, ThreadedEmbedder


class SentenceTransformersConfig(
    EmbedderConfig, frozen=True, tag="sentence_transformers", kw_only=True
):
    """Any sentence-transformers model, on the CPU. Needs `pip install sentence-transformers`."""

    model: Annotated[str, Meta(min_length=1, description="A folder, or a name the library knows.")]
    dimensions: Dimensions

    def unusable(self) -> str:
        """Return what is not installed."""
        cure = "run `pip install turnout[semantic,sentence-transformers]`"
        return not_installed(("sentence_transformers",), cure)

    def build(self, runtime: Runtime, data: Path, providers: Mapping[str, Provider]) -> Embedder:
        """Return the embedder; the model is loaded when it is warmed."""
        del runtime, data, providers
        library = version("sentence-transformers")
        fingerprint = f"sentence-transformers-{library}-{self.model}-{self.dimensions}"
        load = partial(_load, self.model, self.dimensions)
        return ThreadedEmbedder(fingerprint, self.dimensions, load)


def _load(model: str, dimensions: int) -> Engine:
    from gateway.semantic.torch_engine import TorchEngine  # noqa: PLC0415 - torch takes seconds

    return TorchEngine(model, dimensions)
