"""Limits and leases in the words of the scripts, and the scripts' answers as decisions."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from gateway.core import wire
from gateway.core.state import GRACE, Admitted, Decision, Lease, Reserve
from gateway.state.accounts import refusal, waits_of
from gateway.state.redis.link import Rejected, Word

Words: TypeAlias = tuple[Word, ...]
OK: Final = "ok"
KNOWN: Final = "known"
"""A lease of this id is there already, or was ended before it came."""
FOREIGN: Final = "foreign"
"""The lease of this id is another tenant's."""
EPOCH: Final = "epoch"
"""The store is in another life than the caller thought, and did nothing."""
_FIELDS: Final = 3
"""Of each limit: exceeded, used, held."""


def reserving(request: Reserve, *, force: bool = False) -> Words:
    """Return the words of `reserve.lua`; with `force` it takes without asking, rates apart."""
    return (
        *(request.id, request.tenant, request.deadline + GRACE, int(force)),
        *(wire.encode(request.limits), wire.encode(request.amounts)),
    )


def settling(lease: Lease, confirmed: str, used: Sequence[int], *, lower: bool = False) -> Words:
    """Return the words of `settle.lua`. `used` belongs to the lease's limits, one each."""
    mode = "lower" if lower else "settle"
    return (
        *(lease.id, lease.tenant, confirmed, mode),
        *(wire.encode(used), wire.encode(lease.limits)),
    )


def decision(answer: str, request: Reserve, epoch: str) -> Decision:
    """Read what `reserve.lua` decided. Raises Rejected when it is an answer to somebody else."""
    limits = request.limits
    verdict, moment, *rest = answer.split(" ", 2 + _FIELDS * len(limits))
    if rest[-1:] != [request.id]:
        raise Rejected("the answer is not to this question")
    now = float(moment)
    used = [float(each) for each in rest[1:-1:_FIELDS]]
    if verdict == OK:
        exceeded = [index for index, each in enumerate(rest[:-1:_FIELDS]) if each == "1"]
        expires = now + request.deadline + GRACE
        lease = Lease(request.id, request.tenant, limits, request.amounts, expires, epoch)
        return Admitted(limits, used, now, exceeded, lease)
    held = [int(each) for each in rest[2:-1:_FIELDS]]
    refused = refusal(request, used, waits_of(request, used, held, now), now)
    if refused is None:
        raise Rejected("the answer makes no sense")
    return refused
