"""Who holds how much of something that has a limit, and who holds about the most."""

from collections import OrderedDict


class Shares:
    """Amounts by name. `largest` is found at once, however many names there are.

    Names are gathered by the magnitude of their amounts: whoever holds less than half of what
    another does is never taken for the largest.
    """

    def __init__(self) -> None:
        self._amounts: dict[str, int] = {}
        self._crowds: dict[int, OrderedDict[str, None]] = {}

    def amounts(self) -> dict[str, int]:
        """Return how much each name holds that holds anything."""
        return dict(self._amounts)

    def grow(self, name: str, by: int) -> None:
        """Add to what a name holds, or with a number below 0 take from it; never below 0."""
        held = self._amounts.pop(name, 0)
        before, after = held.bit_length(), (held + by).bit_length()
        if after:
            self._amounts[name] = held + by
        if before == after:
            return
        if before:
            crowd = self._crowds[before]
            del crowd[name]
            if not crowd:
                del self._crowds[before]
        if after:
            self._crowds.setdefault(after, OrderedDict())[name] = None

    def largest(self, first: str) -> str:
        """Return one that holds about the most: `first` if it does, then each in its turn.

        Raises ValueError when nobody holds anything.
        """
        crowd = self._crowds[max(self._crowds)]
        name = first if first in crowd else next(iter(crowd))
        crowd.move_to_end(name)
        return name

    def clear(self) -> None:
        """Forget all."""
        self._amounts.clear()
        self._crowds.clear()
