"""What followers of answers are told, and when they must forget everything."""

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.core.answers import Answer, Change, Cleared, Follower, Removed, StoreCounts, Stored
from gateway.core.ports import Clock

SILENCE: Final = 0.75
"""Seconds without a look at the store after which changes may be missed."""


class Feed:
    """Tells followers of changes, and knows what of them this process itself has stored."""

    def __init__(self, clock: Clock, counts: StoreCounts) -> None:
        self.own: dict[str, Answer] = {}
        """Answers of this process that nobody was told of yet, so that they need not be read."""
        self._clock = clock
        self._counts = counts
        self._followers: list[Follower] = []
        self._heard = clock.monotonic()
        self._deaf = False

    @property
    def followed(self) -> bool:
        """Whether anybody wants to be told."""
        return bool(self._followers)

    def follow(self, callback: Follower) -> None:
        """Call back from now on."""
        self._followers.append(callback)
        self._heard = self._clock.monotonic()

    def tell(self, changes: Sequence[Change]) -> None:
        """Tell of changes, in the order in which they happened."""
        for change in changes:
            if isinstance(change, Stored):
                self.own.pop(change.answer.id, None)
            elif isinstance(change, Removed):
                for name in change.ids:
                    self.own.pop(name, None)
            else:
                self.own.clear()
                self._counts.missed += 1
        if changes:
            for callback in self._followers:
                callback(changes)

    def put(self, answer: Answer) -> None:
        """Note an answer that this process stores."""
        if self._followers:
            self.own[answer.id] = answer

    def lose(self, answers: Iterable[Answer]) -> None:
        """Tell of answers that could not be kept."""
        ids = tuple(answer.id for answer in answers)
        self._counts.dropped += len(ids)
        self.tell([Removed(ids)])

    def hear(self) -> None:
        """Note that all changes up to now are known."""
        self._heard = self._clock.monotonic()
        self._deaf = False

    def miss(self) -> None:
        """Note that changes could not be read; after a while nothing known counts any more."""
        silent = self._clock.monotonic() - self._heard
        if silent >= SILENCE and not self._deaf:
            self._deaf = True
            self.tell([Cleared()])
