"""What outlives a request: limits with their leases, issued keys, the ledger, answers, tallies.

Amounts are whole numbers (requests, tokens, micro-dollars) from 0 to MAX_AMOUNT. Times are epoch
seconds by `Limiter.now`, which steps of this machine's wall clock do not move.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from gateway.core.answers import AnswerStore
from gateway.core.audits import AuditStore
from gateway.core.bulletin import Bulletin
from gateway.core.tallies import Tallies

MAX_AMOUNT: Final = 1 << 50
"""Sums of these stay exact in every back end; as micro-dollars it is a thousand million dollars."""
GRACE: Final = 30.0
"""Seconds after a request's deadline for which its lease still waits to be settled."""
Counted: TypeAlias = Literal["provider", "relayed", "reserved", "estimated", "nothing"]
"""What amounts come from: a provider's usage, tokens seen passing, the reservation, or no work."""
EDGE: Final = 1e-3
"""Of a unit: what a level may exceed its burst by, as times are exact to half a microsecond."""
SOON: Final = 1.0
"""Seconds: the `retry_after` of what another request's end may free at any moment."""


class Rate(Struct, frozen=True, array_like=True, tag="rate", gc=False):
    """`pace` units a second (above 0), `limit` of them at once (GCRA)."""

    key: str
    limit: int
    pace: float
    enforce: bool = True


class Budget(Struct, frozen=True, array_like=True, tag="budget", gc=False):
    """`limit` units until the window is over at `ends`; `key` names that window too."""

    pace: ClassVar[float] = 0.0
    """Nothing comes back by itself."""
    key: str
    limit: int
    ends: float
    enforce: bool = True


class Slots(Struct, frozen=True, array_like=True, tag="slots", gc=False):
    """`limit` units at the same time."""

    pace: ClassVar[float] = 0.0
    """Nothing comes back by itself."""
    key: str
    limit: int
    enforce: bool = True


Limit: TypeAlias = Rate | Budget | Slots
"""A limit as every request of its window meets it.

`key` is opaque, scoped by whoever builds it, and occurs once in a request. A limit with
`enforce=False` counts but never refuses; what a `Rate` would have refused it does not count.
"""


class Reserve(Struct, frozen=True, gc=False):
    """What a request needs before it may go on. `id` is unique and becomes the lease's id."""

    id: str
    tenant: str
    deadline: float
    """Seconds from now until the request is over at the latest."""
    limits: tuple[Limit, ...]
    amounts: list[int]
    """How much of each; the lease keeps the list."""


class Lease(Struct, array_like=True, gc=False):
    """What a request holds. At `expires` it is charged in full, unless it was settled before."""

    id: str
    tenant: str
    limits: tuple[Limit, ...]
    amounts: list[int]
    """How much of each limit is reserved; lowering it changes them."""
    expires: float
    epoch: str = ""
    """Which life of the store confirmed it; empty when no store but this process knows it."""
    unsettled: bool = False
    """It expired, was charged in full and may still be settled late."""


class Standing(Struct, frozen=True, gc=False):
    """How limits stood right after a decision, at the epoch time `at`."""

    limits: tuple[Limit, ...]
    used: Sequence[float]
    """How much of each limit was taken."""
    at: float
    exceeded: Sequence[int]
    """Which of them refused, or would have if they were enforced."""

    def status(self, index: int) -> tuple[int, int, float]:
        """Return a limit, how much of it is left, and the seconds until nothing of it is used."""
        limit, used = self.limits[index], self.used[index]
        size = limit.limit
        left = int(size - used + EDGE) if used < size else 0
        if type(limit) is Rate:
            return size, left, used / limit.pace
        return size, left, max(0.0, limit.ends - self.at) if type(limit) is Budget else 0.0


class Admitted(Standing, frozen=True, gc=False):
    """The request may go on."""

    lease: Lease


class Refused(Standing, frozen=True, gc=False):
    """Nothing was reserved. `key` names the limit that binds longest.

    `retry_after` is in seconds; infinite when the amount exceeds the whole limit.
    """

    key: str
    retry_after: float
    alone: bool = False
    """It went by what this process may admit by itself, as the store cannot be reached."""


Decision: TypeAlias = Admitted | Refused


class Limiter(Protocol):
    """Reserves before, settles after. Only `reserve` waits; the rest is done in order, behind."""

    def now(self) -> float:
        """Return the epoch time, in seconds, that windows and leases go by."""
        ...

    async def reserve(self, request: Reserve, /) -> Decision:
        """Take all amounts or none. Raises StateUnavailable when the store cannot be written."""
        ...

    def lower(self, lease: Lease, amounts: Sequence[int], /) -> None:
        """Give back what exceeds `amounts`, one for each limit; never takes more."""
        ...

    def settle(self, lease: Lease, used: Sequence[int] | None, /) -> None:
        """Charge what was used, once however often it is called, and end the lease.

        `used` is what was really used of each limit, be it less or more than was reserved; None
        charges as reserved. An expired lease, which was charged in full, is charged the difference.
        """
        ...

    def release(self, lease: Lease, /) -> None:
        """Give everything back: the request never reached a provider."""
        ...

    async def flush(self) -> None:
        """Return when everything handed over before is done. Raises StateUnavailable."""
        ...


class IssuedKey(Struct, frozen=True, kw_only=True):
    """A key as it is kept: never the key itself. Times are epoch seconds."""

    id: str
    digest: str
    """HMAC-SHA256 of the key, hexadecimal."""
    pepper: str = ""
    """By which pepper, as `core.keys.mark_of` names it."""
    prefix: str
    """The first characters of the key, by which people recognise it."""
    tenant: str
    labels: Mapping[str, str] = {}
    networks: tuple[str, ...] = ()
    """Address ranges that may use it; empty means all."""
    created: float
    expires: float | None = None
    revoked: float | None = None


class Keys(Protocol):
    """The table of issued keys. Changes raise StateUnavailable when they cannot be kept."""

    async def create(self, key: IssuedKey, /) -> None:
        """Add a key. Raises ValueError when its id or digest is there already."""
        ...

    async def revoke(self, name: str, at: float, /) -> bool:
        """Revoke the key with this id for good; tell whether there is one."""
        ...

    async def all(self) -> Sequence[IssuedKey]:
        """Return every key, revoked and expired ones too, oldest first."""
        ...

    def follow(self, callback: Callable[[Sequence[IssuedKey]], None], /) -> None:
        """Call back soon with the whole table, and within a second of every change.

        When the store is gone no call comes: whoever follows keeps the table it has.
        """
        ...


# Made for every request and kept for some 50 ms: by position, and out of the collector's sight.
class AttemptRow(Struct, frozen=True, gc=False):
    """One try of one target, for the ledger. `at` is the epoch time of its end."""

    request: str
    number: int
    at: float
    tenant: str
    provider: str
    model: str
    status: int
    code: str = ""
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    micro_dollars: int | None = None
    """None when the model has no price: unknown, never free."""


class RequestRow(Struct, frozen=True, gc=False):
    """One request, for the ledger. `at` is the epoch time of its end."""

    id: str
    at: float
    tenant: str
    key: str
    """The fingerprint of the key that was used."""
    policy: str
    endpoint: str
    model: str
    status: int
    code: str = ""
    input: int = 0
    output: int = 0
    micro_dollars: int | None = None
    counted: Counted = "nothing"


LedgerRow: TypeAlias = AttemptRow | RequestRow


class Sums(Struct, frozen=True):
    """What a tenant's requests add up to. `unpriced` of them have no known price."""

    requests: int = 0
    input: int = 0
    output: int = 0
    micro_dollars: int = 0
    unpriced: int = 0


class Ledger(Protocol):
    """What was used and what it cost, for good."""

    def record(self, rows: Sequence[LedgerRow], /) -> None:
        """Keep rows; they are on disk some 50 ms later. A row that is there already is left."""
        ...

    async def sums(self, since: float, /) -> Mapping[str, Sums]:
        """Return what each tenant's requests ended at or after `since` add up to."""
        ...

    async def flush(self) -> None:
        """Return when everything that was recorded before is on disk."""
        ...


class State(Struct, frozen=True):
    """One store, open. `problem` says what is wrong with it and what follows, else nothing."""

    limiter: Limiter
    keys: Keys
    ledger: Ledger
    bulletin: Bulletin
    answers: AnswerStore
    audits: AuditStore
    tallies: Tallies
    problem: Callable[[], str]
