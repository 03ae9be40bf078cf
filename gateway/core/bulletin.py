"""What processes tell each other of their targets, so that not each has to find it out itself."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

LONGEST: Final = 330.0
"""Seconds that a notice holds at most."""
Kind = Literal["failing", "down", "paused", "denied"]
"""It fails often, or always; it asked for a pause; it refuses our key, for all its models."""


class Notice(Struct, frozen=True):
    """That a target is to be left alone for so many seconds from now."""

    kind: Kind
    provider: str
    model: str
    """Empty where it is all of the provider's."""
    seconds: float
    mark: str = ""
    """Of the key that it is about, as `core.keys.mark_of` tells keys apart."""
    id: str = ""
    """Given by the process that posts it, which never hears of it."""


class Bulletin(Protocol):
    """Where notices hang until their time is over. Nothing here waits, and nothing raises.

    While the store is away nobody hears anything, and what is posted hangs as soon as it is back.
    """

    def post(self, notice: Notice, /) -> None:
        """Let the other processes know, within a second."""
        ...

    def follow(self, callback: Callable[[Sequence[Notice]], None], /) -> None:
        """Call back about twice a second with all that hangs there from other processes."""
        ...


class Alone:
    """The bulletin of a process that shares nothing."""

    def post(self, _notice: Notice, /) -> None:
        """Do nothing."""

    def follow(self, _callback: Callable[[Sequence[Notice]], None], /) -> None:
        """Do nothing: there is nobody to hear of."""
