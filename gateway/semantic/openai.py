"""An embedder behind any `/v1/embeddings`: asked through one of the gateway's own providers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from gateway.core.embedding import Embedder
from gateway.core.ports import Provider, Runtime
from gateway.semantic.base import Dimensions, EmbedderConfig, not_installed


class OpenAIEmbedderConfig(EmbedderConfig, frozen=True, tag="openai", kw_only=True):
    """Vectors from an OpenAI-compatible provider. Every question that is new leaves the house."""

    provider: Annotated[str, Meta(description="A block under `providers:` of kind openai.")]
    model: Annotated[str, Meta(min_length=1, description="The provider's name for the model.")]
    dimensions: Dimensions

    def unusable(self) -> str:
        """Return what the index lacks."""
        return not_installed((), "run `pip install turnout[semantic]`")

    def build(self, runtime: Runtime, data: Path, providers: Mapping[str, Provider]) -> Embedder:
        """Return the embedder; it asks nothing before it is warmed."""
        from gateway.semantic.remote import RemoteEmbedder  # noqa: PLC0415 - numpy, off the loop

        del data
        return RemoteEmbedder(self.provider, self.model, self.dimensions, runtime, providers)
