"""What every embedder's configuration shares."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core.embedding import Embedder
from gateway.core.ports import Provider, Runtime

Dimensions = Annotated[int, Meta(ge=2, le=8192, description="Length of its vectors.")]
INDEX_NEEDS: Final = ("numpy", "faiss")


class EmbedderKind(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    """The `embedder:` block of `config/gateway.yaml`; the struct is the embedder.

    Adding a kind = one file + one line in `semantic/__init__.py`.
    """

    def unusable(self) -> str:
        """Return why it cannot be used here and what to do, or an empty string."""
        return ""


class EmbedderConfig(EmbedderKind, frozen=True, kw_only=True):
    """What all kinds have that embed. A subclass adds its fields and `build`."""

    timeout: Annotated[
        float,
        Meta(gt=0, le=3600, description="Seconds that start waits for it; it loads on after that."),
    ] = 10
    index_bytes: Annotated[
        int,
        Meta(
            ge=1_000_000,
            le=1_000_000_000_000,
            description="Memory for a worker's vectors; then the tenant with the most loses some.",
        ),
    ] = 250_000_000

    def build(self, runtime: Runtime, data: Path, providers: Mapping[str, Provider]) -> Embedder:
        """Return the embedder; loads nothing yet. Files lie below `data`.

        Blocks for a moment, so it is not for the loop.
        """
        raise NotImplementedError


class NoEmbedder(EmbedderKind, frozen=True, tag="none", kw_only=True):
    """No embedder: the cache finds equal questions only."""

    def unusable(self) -> str:
        """Return what to do to have one."""
        return "choose another `embedder:` than none in gateway.yaml"


def not_installed(packages: tuple[str, ...], cure: str) -> str:
    """Return `cure` unless all of them are installed and the index's needs, too."""
    there = all(find_spec(name) is not None for name in (*packages, *INDEX_NEEDS))
    return "" if there else cure
