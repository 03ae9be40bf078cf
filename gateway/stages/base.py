"""The seam that every stage's configuration implements."""

from collections.abc import Collection, Iterator

from msgspec import Struct

from gateway.core.ports import Tools
from gateway.core.stage import Stage


class Names(Struct, frozen=True):
    """What a policy may refer to; grows with the stages that need it."""

    models: Collection[str]


class Problem(Struct, frozen=True):
    """One thing wrong in a document. `path` leads to it: keys and list indexes."""

    path: tuple[str | int, ...]
    what: str


class StagePolicy(Struct, frozen=True, forbid_unknown_fields=True, tag_field="stage"):
    """One block of a policy's `pipeline`; the struct is the stage.

    A subclass adds its fields (each with `Meta(description=...)`), its checks and its behaviour.
    Adding a stage = one file + one line in the union of `stages/__init__.py`.
    """

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield what the types cannot say, with paths relative to this block."""
        del names
        yield from ()

    def build(self, tools: Tools) -> Stage:
        """Return the behaviour. Called once per reload."""
        raise NotImplementedError
