"""What a cache keeps: whole answers with the scope they hold in, and where they are kept.

Times are epoch seconds by `Limiter.now`; sizes are bytes.
"""

from collections.abc import Callable, Sequence
from sys import getsizeof
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from gateway.core.chat import Endpoint
from gateway.core.reply import Usage

_FIXED: Final = 1_500
"""Bytes of an answer's other fields in memory, measured with names of usual length."""
_PAIR: Final = 300
_WORD: Final = 80


class Answer(Struct, frozen=True, kw_only=True):
    """One stored answer. Only a request of the same scope may ever be given it."""

    id: str
    """Unguessable; names the entry in headers and in the admin API."""
    scope: str
    """The hard partition: a keyed digest, hexadecimal, of all that must be equal."""
    key: str
    """A keyed digest of scope and normalised question, hexadecimal: the exact tier's key."""
    group: str
    """Tenant, policy and alias, for the false-hit budget: `tenant/policy/alias`."""
    tenant: str
    policy: str
    endpoint: Endpoint
    asked: str
    """The model or alias that was asked for."""
    model: str
    """The catalogue's name of the model that answered."""
    provider: str
    tags: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    """Ordered (chunk, content hash) pairs that were injected; another context is a miss."""
    question: str = ""
    """The last user message, for the gates; empty where no semantic look-up may find it."""
    vector: bytes = b""
    """The question's embedding, little-endian float32 of norm 1; empty as above."""
    embedder: str = ""
    """The fingerprint of what made `vector`."""
    body: bytes
    """The whole answer in the dialect of `endpoint`."""
    usage: Usage | None
    micro_dollars: int | None
    """What it cost; None when the model has no price."""
    stored: float
    fresh_until: float
    gone_at: float
    """After `fresh_until` it is stale, served only where the policy says so; then it is gone."""

    @property
    def size(self) -> int:
        """About what it takes in memory."""
        lists = _PAIR * len(self.context) + _WORD * (len(self.tags) + len(self.corpora))
        return len(self.body) + len(self.vector) + getsizeof(self.question) + lists + _FIXED


class Selection(Struct, frozen=True, kw_only=True):
    """Which answers: those that fit every field that is named. Nothing named is every answer."""

    tenant: str | None = None
    policy: str | None = None
    asked: str | None = None
    model: str | None = None
    tag: str | None = None
    corpus: str | None = None
    id: str | None = None

    def fits(self, answer: Answer) -> bool:
        """Return whether `answer` is one of them."""
        return (
            self.tenant in {None, answer.tenant}
            and self.policy in {None, answer.policy}
            and self.asked in {None, answer.asked}
            and self.model in {None, answer.model}
            and self.id in {None, answer.id}
            and (self.tag is None or self.tag in answer.tags)
            and (self.corpus is None or self.corpus in answer.corpora)
        )


class Stored(Struct, frozen=True):
    """A change: this answer was stored, by whichever process."""

    answer: Answer


class Removed(Struct, frozen=True):
    """A change: these are gone (replaced, purged, evicted, run out or could not be kept)."""

    ids: tuple[str, ...]


class Cleared(Struct, frozen=True):
    """A change: changes were missed. Forget every answer; what is there follows as it is stored."""


Change: TypeAlias = Stored | Removed | Cleared
Follower: TypeAlias = Callable[[Sequence[Change]], None]


class Held(Struct, frozen=True):
    """How many answers there are of one kind, and the bytes that they take."""

    tenant: str
    policy: str
    asked: str
    model: str
    answers: int
    size: int
    oldest: float
    """When the oldest of them was stored."""

    def with_one(self, size: int, stored: float) -> "Held":
        """Return this with one more answer."""
        kind = (self.tenant, self.policy, self.asked, self.model)
        return Held(*kind, self.answers + 1, self.size + size, min(self.oldest, stored))


class StoreCounts(Struct):
    """What befell answers in this process since it started."""

    dropped: int = 0
    """Not kept: too much waited to be written, the store was away, or it was too large."""
    damaged: int = 0
    """Not what was stored: neither returned nor told."""
    evicted: int = 0
    """Removed for others, because there is no more room."""
    expired: int = 0
    missed: int = 0
    """Times that changes were missed, so that followers had to forget everything."""


class AnswerStore(Protocol):
    """Answers on disk or in a server, shared by workers and nodes. Fails by StateUnavailable.

    Bounded in bytes: the oldest answers of the tenant with the most bytes go first.
    """

    @property
    def counts(self) -> StoreCounts: ...

    async def get(self, key: str, /) -> Answer | None:
        """Return the answer of this exact key, unless it is gone."""
        ...

    async def find(self, which: Selection, /, *, most: int) -> Sequence[Answer]:
        """Return answers that are not gone, the newest first, up to `most`. Quick for an id."""
        ...

    async def held(self) -> Sequence[Held]:
        """Return what there is, by tenant, policy, and model asked and answering."""
        ...

    def put(self, answer: Answer, /) -> None:
        """Keep an answer, in place of one of the same key. Done in order, behind; may be lost.

        Bounded: where too much waits to be written, the newest is dropped and counted.
        """
        ...

    async def remove(self, which: Selection, /, *, dry_run: bool = False) -> int:
        """Remove answers for good, also from disk; return how many. Seen by all within a second.

        What was put before by this process is among them.
        """
        ...

    def follow(self, callback: Follower, /) -> None:
        """Call back with what is there, in chunks up to a bound, then within a second of changes.

        In the order in which it happened, whichever process or node did it, this one included.
        When changes cannot be read for a second, or were missed, `Cleared` is told.
        """
        ...

    async def flush(self) -> None:
        """Return when everything that was put before is kept. Raises StateUnavailable."""
        ...
