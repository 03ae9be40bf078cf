"""The seam that every stage's configuration implements."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from gateway.core.ports import Tools
from gateway.core.stage import Stage
from gateway.stages.names import Names, Problem
from gateway.stages.when import When


class StagePolicy(Struct, frozen=True, forbid_unknown_fields=True, tag_field="stage", kw_only=True):
    """One block of a policy's `pipeline`; the struct is the stage.

    A subclass adds its fields (each with `Meta(description=...)`), its checks and its behaviour.
    Adding a stage = one file + one line in the union of `stages/__init__.py`.
    """

    answers: ClassVar[bool] = False
    """Whether no request gets past it."""
    reads: ClassVar[tuple[str, ...]] = ()
    """The request headers that it goes by, in lower case, but for those of `conditions`."""
    shapes_answers: ClassVar[bool] = True
    """Whether answers may be others when its fields are."""
    once: ClassVar[bool] = False
    """Whether the first one that runs for a request is the only one of its kind."""

    when: Annotated[
        When | None,
        Meta(
            description="The stage is skipped unless all of this holds; left out, it always runs."
        ),
    ] = None

    @property
    def embeds(self) -> bool:
        """Whether it needs the embedder, which is then loaded before the first request."""
        return False

    @property
    def routes(self) -> Iterator[tuple[str, str]]:
        """The aliases that it sends elsewhere than models.yaml says, each with where, in words."""
        yield from ()

    @property
    def conditions(self) -> Iterator[tuple[tuple[str | int, ...], When]]:
        """Every `when` in this block, with the path that leads to it."""
        if self.when is not None:
            yield ("when",), self.when

    @property
    def name(self) -> str:
        """The stage's name in the policy file."""
        return str(self.__struct_config__.tag)

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield what the types cannot say, with paths relative to this block."""
        del names
        yield from ()

    def check_place(self, above: Sequence["StagePolicy"]) -> Iterator[Problem]:
        """Yield what cannot work behind the stages above it, the first one first."""
        del above
        yield from ()

    def build(self, tools: Tools) -> Stage:
        """Return the behaviour. Called once per reload."""
        raise NotImplementedError
