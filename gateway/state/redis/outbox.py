"""What Redis has still to be told about leases that ended while it could not be reached."""

from collections.abc import Iterator
from typing import Final

from gateway.core.state import Budget, Lease
from gateway.state.redis.words import Words, settling

ONCE: Final = "owed-"
"""How the names of leases begin that stand for many."""


class Outbox:
    """Settlements to carry over, each once.

    Those of leases that Redis may know are kept one by one; there are no more of them than requests
    were in flight. What was spent without Redis is added up by budget.
    """

    def __init__(self) -> None:
        self._settlements: dict[str, Words] = {}
        self._owed: dict[str, tuple[int, float]] = {}

    def settle(self, name: str, words: Words) -> None:
        """Keep a settlement until it is `told`."""
        self._settlements[name] = words

    def owe(self, key: str, amount: int, ends: float) -> None:
        """Add to what a budget is owed."""
        before, _ = self._owed.get(key, (0, 0.0))
        self._owed[key] = before + amount, ends

    def waiting(self, fresh: str) -> Iterator[tuple[str, Words]]:
        """Yield every settlement with its name; what is owed becomes one of the name `fresh`."""
        if self._owed:
            # One lease that nobody reserved: it is charged as it stands, and only once.
            limits = tuple(Budget(key, 0, ends) for key, (_, ends) in self._owed.items())
            used = [amount for amount, _ in self._owed.values()]
            lease = Lease(ONCE + fresh, "", limits, used, 0.0)
            self._settlements[lease.id] = settling(lease, "", used)
            self._owed = {}
        yield from list(self._settlements.items())

    def told(self, name: str) -> None:
        """Forget a settlement that Redis has."""
        self._settlements.pop(name, None)

    def clear(self) -> None:
        """Forget everything: the store was lost, and is rebuilt from what is in the meter."""
        self._settlements, self._owed = {}, {}
