"""What processes count together, and the few settings that they derive from it alike."""

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

PART: Final = 7_200.0
"""Seconds of a part: counts are kept by the part of time in which they were made."""
KEPT: Final = 84
"""The newest parts that are kept, this one among them: seven days."""
OVER: Final = (KEPT + 1) * int(PART)
"""Seconds after which nothing of a part can be asked for any more."""


class Agreed(Struct, frozen=True):
    """A setting that all processes go by. Version 0 is none."""

    version: int = 0
    body: str = ""


class Tallies(Protocol):
    """Cells of whole numbers under a name, added up over processes. Nothing waits, nothing raises.

    What was added is in every process's sums some seconds later. While the store is away sums and
    settings stay as they were last seen, and what is added meanwhile is sent when it is back. A
    process that is killed loses what it had not sent.
    """

    def add(self, name: str, cell: int, amount: int, /) -> None:
        """Add to a cell, in the part of this moment. `amount` is 1 or more."""
        ...

    def sums(self, name: str, enough: int, /) -> Mapping[int, int]:
        """Return the sum of each cell, as last seen, over the newest parts that hold `enough`.

        Empty at first, as a name is looked up only once it was asked for. It is the same mapping
        until there is news.
        """
        ...

    def agreed(self, name: str, /) -> Agreed:
        """Return the setting of that name, as last seen."""
        ...

    def propose(self, name: str, setting: Agreed, /) -> None:
        """Have it agreed, unless there is one of its version or a higher one by then."""
        ...
