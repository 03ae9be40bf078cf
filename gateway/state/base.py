"""What every store's configuration shares."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from gateway.core.ports import Runtime
from gateway.core.state import State

SWEEP: Final = 2.0
"""Seconds between two looks for leases that are over and counters that mean nothing any more."""
SWEPT: Final = 1_000
"""Leases, and counters, that one look deals with at most."""

Bytes = Annotated[
    int, Meta(ge=1 << 20, le=1 << 40, description="What cached answers may take there, in bytes.")
]


class StateConfig(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    """The `state:` block of `config/gateway.yaml`; the struct is the store.

    A subclass adds its fields and `open`. Adding a kind = one file + one line in
    `state/__init__.py`.
    """

    shared: ClassVar[bool] = True
    """Whether all workers of a machine see the same."""
    several_nodes: ClassVar[bool] = False
    """Whether several machines may share it."""

    answers: Bytes = 1 << 30

    def check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what the types cannot say: where in this block, and what."""
        yield from ()

    def open(self, runtime: Runtime, data: Path) -> AbstractAsyncContextManager[State]:
        """Open the store until the end of the block; files lie below `data`.

        Raises StateUnavailable, with what to do about it, when it cannot be used at all.
        """
        raise NotImplementedError
