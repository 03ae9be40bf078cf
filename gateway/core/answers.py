"""What a cache keeps: whole answers with the scope they hold in, and where they are kept.

Times are epoch seconds by `Limiter.now`; sizes are bytes.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from gateway.core.chat import Endpoint
from gateway.core.reply import Usage


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
    """The last user message, for the evidence gates; empty where no semantic look-up may find it."""
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
    """After `fresh_until` it is stale, and served only where the policy says so; then it is gone."""

    @property
    def size(self) -> int:
        """About what it takes in memory."""
        return len(self.body) + len(self.vector) + 2 * len(self.question) + 1024


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
    """A change: these answers are gone (purged, evicted or run out), by whichever process."""

    ids: tuple[str, ...]


Change = Stored | Removed


class AnswerStore(Protocol):
    """Answers on disk or in a server, shared by workers and nodes. Fails by StateUnavailable."""

    async def get(self, key: str, /) -> Answer | None:
        """Return the answer of this exact key, unless it is gone."""
        ...

    def put(self, answer: Answer, /) -> None:
        """Keep an answer, in place of one of the same key. Done in order, behind; may be lost.

        Bounded: where too much waits to be written, the newest is dropped and counted.
        """
        ...

    async def remove(self, which: Selection, /, *, dry_run: bool = False) -> int:
        """Remove answers for good, also from disk; return how many. Seen by all within a second."""
        ...

    async def load(self, since: float, /) -> Sequence[Answer]:
        """Return the answers that are not gone and have a vector, newest first, up to a bound."""
        ...

    def follow(self, callback: Callable[[Sequence[Change]], None], /) -> None:
        """Call back within a second of changes, also those of other processes and nodes."""
        ...

    async def flush(self) -> None:
        """Return when everything that was put before is kept. Raises StateUnavailable."""
        ...
