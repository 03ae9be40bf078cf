"""What every embedder's configuration shares."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from gateway.core.embedding import Embedder
from gateway.core.ports import Provider, Runtime

Patience = Annotated[float, Meta(gt=0, le=3600)]


class EmbedderConfig(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True
):
    """The `embedder:` block of `config/gateway.yaml`; the struct is the embedder.

    A subclass adds its fields and `build`. Adding a kind = one file + one line in
    `semantic/__init__.py`.
    """

    timeout: Annotated[
        Patience, Meta(description="Seconds that start waits for it; it goes on loading after.")
    ] = 10

    def check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what the types cannot say: where in this block, and what."""
        yield from ()

    def unusable(self) -> str:
        """Return why it cannot be used here and what to do, or an empty string."""
        return ""

    def build(
        self, runtime: Runtime, data: Path, providers: Mapping[str, Provider]
    ) -> Embedder | None:
        """Return the embedder, None where none is wanted. Loads nothing yet.

        Blocks for a moment, so not on the loop. Files lie below `data`.
        """
        raise NotImplementedError


class NoEmbedder(EmbedderConfig, frozen=True, tag="none", kw_only=True):
    """No embedder: the cache finds equal questions only."""

    def build(
        self, runtime: Runtime, data: Path, providers: Mapping[str, Provider]
    ) -> Embedder | None:
        """Return None."""
        del runtime, data, providers
        return None
