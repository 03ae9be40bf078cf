"""Limits and leases in the words of the scripts, and the scripts' answers as decisions."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec.structs import replace

from gateway.core import wire
from gateway.core.state import GRACE, Admitted, Lease, Limit, LimitStatus, Refused, Reserve
from gateway.state.accounts import Counter, refusal, status_of, wait_for
from gateway.state.redis.link import Rejected, Word

Words: TypeAlias = tuple[Word, ...]
OK: Final = "ok"
KNOWN: Final = "known"
"""A lease of this id is there already, or was ended before it came."""
FOREIGN: Final = "foreign"
"""The lease of this id is another tenant's."""
EPOCH: Final = "epoch"
"""The store is in another life than the caller thought, and did nothing."""
_FIELDS: Final = 4
"""Of each limit: exceeded, spent, held, level."""


def reserving(request: Reserve, *, force: bool = False) -> Words:
    """Return the words of `reserve.lua`; with `force` it takes without asking, rates apart."""
    seconds = request.deadline + GRACE
    return (request.id, request.tenant, seconds, int(force), wire.encode(request.limits))


def settling(
    lease: Lease, confirmed: str, used: Mapping[str, int], *, lower: bool = False
) -> Words:
    """Return the words of `settle.lua`. `used` names every limit but slots."""
    mode = "lower" if lower else "settle"
    return (
        *(lease.id, lease.tenant, confirmed, mode),
        *(wire.encode(used), wire.encode(lease.limits)),
    )


def decision(answer: str, request: Reserve, epoch: str) -> Admitted | Refused:
    """Read what `reserve.lua` decided. Raises Rejected when it is an answer to somebody else."""
    limits = request.limits
    verdict, moment, *rest = answer.split(" ", 2 + _FIELDS * len(limits))
    if rest[-1:] != [request.id]:
        raise Rejected("the answer is not to this question")
    now = float(moment)
    counters, over = [], []
    for index in range(0, _FIELDS * len(limits), _FIELDS):
        exceeded, spent, held, level = rest[index : index + _FIELDS]
        counters.append(Counter(int(spent), int(held), float(level), now))
        over.append(exceeded == "1")
    if verdict == OK:
        lease = Lease(request.id, request.tenant, now + request.deadline + GRACE, limits, epoch)
        return Admitted(lease, tuple(map(_standing, limits, counters, over, [now] * len(limits))))
    waits = {x.key: wait_for(x, counter, now) for x, counter in zip(limits, counters, strict=True)}
    refused = refusal(limits, counters, {k: wait for k, wait in waits.items() if wait >= 0}, now)
    if refused is None:
        raise Rejected("the answer makes no sense")
    return refused


def _standing(limit: Limit, counter: Counter, over: bool, now: float) -> LimitStatus:
    status = status_of(limit, counter, now)
    return replace(status, exceeded=True) if over else status
