"""Texts as vectors: the port to whatever embeds, and to the index that finds near ones."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Embedded(Struct, frozen=True):
    """One text as a vector: little-endian float32, norm 1."""

    vector: bytes
    tokens: int
    """Tokens of the whole text; estimated from its characters where it is very long."""
    truncated: bool = False
    """The text is longer than what the model reads; the vector stands for its beginning."""


class EmbedderUnavailable(Exception):
    """It is broken, still loading, or too many texts wait already. The text says which."""


class Embedder(Protocol):
    """Makes vectors, off the loop. One model for the whole process."""

    @property
    def fingerprint(self) -> str:
        """Names model, quantisation and version: vectors of two fingerprints never meet."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def languages(self) -> frozenset[str]:
        """Scripts it understands, such as `latin`; empty means every one."""
        ...

    async def embed(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        """Return one vector a text, in order. Raises EmbedderUnavailable; cancelling is safe."""
        ...

    async def warm(self) -> None:
        """Load the model and run it once. Raises EmbedderUnavailable."""
        ...

    async def aclose(self) -> None: ...


class Near(Struct, frozen=True):
    """A neighbour: the id it was added with, and the cosine."""

    id: str
    cosine: float


class VectorIndex(Protocol):
    """Vectors by scope. Scopes never meet; all share one byte budget, a scope goes with its last.

    Vectors of a wrong size, norm or with a figure that is not finite are refused. Beyond the budget
    what was added first goes, of an owner that has about the most: who has less than half of what
    the largest has loses nothing to others.
    """

    def add(self, scope: str, name: str, vector: bytes, owner: str, /) -> bool:
        """Add or replace; tell whether it was taken. At once visible to `search`."""
        ...

    def remove(self, name: str, /) -> None:
        """Forget it; at once invisible. Harmless when it is not there."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    async def search(self, scope: str, vector: bytes, most: int, /) -> Sequence[Near]:
        """Return up to `most` neighbours in this scope, nearest first."""
        ...
