"""The typed facts that a request leaves behind; log, metrics and headers are folded from them."""

from collections.abc import Iterator
from typing import Literal, TypeAlias, TypeVar

from msgspec import Struct

from gateway.core.reply import Usage

End = Literal["done", "client_gone", "upstream_cut", "error"]


class Routed(Struct, frozen=True):
    """The target was settled."""

    model: str
    provider: str
    reason: str


class Attempted(Struct, frozen=True):
    """One try of one target. Times are `Clock.monotonic()` seconds; `code` is empty on success."""

    provider: str
    model: str
    started: float
    ended: float
    """When its answer (whole) or its first content event (stream) was in hand."""
    code: str = ""
    status: int = 200


class StreamEnded(Struct, frozen=True):
    """A stream is over. Gaps are seconds between blocks; `upstream_seconds` was spent waiting."""

    reason: End
    blocks: int
    size: int
    longest_gap: float
    upstream_seconds: float
    code: str = ""


class Used(Struct, frozen=True):
    """What the provider says it used."""

    model: str
    usage: Usage
    micro_dollars: int | None
    """None when the model has no price: unknown, never free."""


class Queued(Struct, frozen=True):
    """It waited so many seconds for a slot of its target, and got one."""

    seconds: float


class Wasted(Struct, frozen=True):
    """A second request that lost the race, and what it is taken to have cost."""

    provider: str
    model: str
    input: int
    """Tokens, guessed."""
    micro_dollars: int | None
    """None when the model has no price: unknown, never free."""


class Verdict(Struct, frozen=True):
    """What a stage decided, in a word or two: `rate_limit`, `admitted`."""

    stage: str
    verdict: str


Note: TypeAlias = Routed | Queued | Attempted | StreamEnded | Used | Wasted | Verdict
N = TypeVar("N", Routed, Queued, Attempted, StreamEnded, Used, Wasted, Verdict)


class Notes:
    """An append-only list of notes, one per exchange."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: list[Note] = []

    def add(self, note: Note) -> None:
        """Leave a fact behind."""
        self._notes.append(note)

    def __len__(self) -> int:
        return len(self._notes)

    def __iter__(self) -> Iterator[Note]:
        return iter(self._notes)

    def __reversed__(self) -> Iterator[Note]:
        return reversed(self._notes)

    def all(self, kind: type[N]) -> list[N]:
        """Return the notes of one kind, oldest first."""
        return [note for note in self._notes if type(note) is kind]

    def last(self, kind: type[N]) -> N | None:
        """Return the newest note of a kind, or None."""
        for note in reversed(self._notes):
            if type(note) is kind:
                return note
        return None
