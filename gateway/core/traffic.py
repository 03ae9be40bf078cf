"""What a traffic log keeps of a request: one line of JSON, documented in docs/caching.md."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from gateway.core.chat import Endpoint
from gateway.core.notes import Attempted, CacheResult, Verdict
from gateway.core.outcome import Facts
from gateway.core.reply import Usage

VERSION: Final = 1
"""Of the line's form. A field more is no new version; a field that means something else is."""


class Tried(Struct, frozen=True):
    """One try of a target; `ms` from being asked to its answer or first token."""

    provider: str
    model: str
    code: str
    status: int
    ms: float


class Timing(Struct, frozen=True):
    """Milliseconds. `first_ms` is when a stream began, None for whole answers and failures."""

    total_ms: float
    first_ms: float | None
    upstream_ms: float
    queue_ms: float


class CacheSaid(Struct, frozen=True):
    """What the cache made of the request."""

    result: CacheResult
    reason: str
    id: str


class Record(Struct, frozen=True, kw_only=True):
    """One line. `request` and `answer` are JSON as the caller sent and got it, secrets masked."""

    v: int = VERSION
    id: str
    at: float
    """When it came, in seconds since 1970."""
    tenant: str
    key: str
    """The fingerprint of the key."""
    labels: Mapping[str, str]
    policy: str
    version: str
    """Changes whenever the policy may answer differently."""
    endpoint: Endpoint
    headers: Mapping[str, str]
    """Those that some policy asks about."""
    betas: Sequence[str] = ()
    api_version: str = ""
    """What the caller's `anthropic-beta` and `anthropic-version` say."""
    drop_params: bool = False
    max_cost: int | None = None
    """Micro-dollars that the caller would pay at most."""
    deadline_ms: float | None = None
    """How long the caller would wait, None where it did not say."""
    request: Any = None
    status: int
    """What its caller was told; 499 when it went away or was cut off."""
    code: str
    verdicts: Sequence[Verdict]
    cache: CacheSaid | None
    route: str
    """Why it went where it went."""
    tried: Sequence[Tried]
    usage: Usage | None
    micro_dollars: int | None
    timing: Timing
    answer: Any = None
    """The whole answer, of a stream too; None where it is not asked for or not complete."""


class Keep(Struct, frozen=True):
    """How long a policy's lines are kept, and how many bytes of them."""

    days: int
    size: int


class Seen(Struct, frozen=True):
    """A request that is over, with what the line is still to be made of."""

    record: Record
    keep: Keep
    request: bytes
    answer: Sequence[bytes] = ()
    """Of a whole answer one piece, of a stream its blocks."""
    stream: bool = False

    @property
    def size(self) -> int:
        """Return about how many bytes are held until the line is written."""
        return len(self.request) + sum(map(len, self.answer))


class TrafficLog(Protocol):
    """Where lines are written, somewhere behind everybody's back."""

    def put(self, seen: Seen, /) -> None:
        """Take what was seen. Returns at once; what there is no room for is lost, and counted."""
        ...

    def too_large(self) -> None:
        """Count a request that is larger than what is kept."""
        ...


def cache_said(facts: Facts) -> CacheSaid | None:
    """Return what the notes say of the cache."""
    cached = facts.cached
    return None if cached is None else CacheSaid(cached.result, cached.reason, cached.id)


def tried(attempts: Sequence[Attempted]) -> Sequence[Tried]:
    """Return the tries of all targets."""
    return [
        Tried(each.provider, each.model, each.code, each.status, ms(each.ended - each.started))
        for each in attempts
    ]


def ms(seconds: float) -> float:
    """Return milliseconds, to the microsecond."""
    return round(seconds * 1e3, 3)
