"""How the limits of a tenant stand at this moment, for operators."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import StateUnavailable
from gateway.core.exchange import Caller
from gateway.core.limits import MICRO
from gateway.core.state import EDGE, Admitted, Limit, Limiter, Reserve, Standing
from gateway.policy.snapshot import Holder
from gateway.stages.limit_meters import Meter, meters_of


class Standings:
    """Looks at the limits that count a tenant's requests; nothing is taken of any."""

    def __init__(self, holder: Holder, limiter: Limiter, new_id: Callable[[], str]) -> None:
        self._holder = holder
        self._limiter = limiter
        self._new_id = new_id

    async def of(self, caller: Caller) -> Sequence[Mapping[str, Any]]:
        """Return every limit of a tenant and of its policy, with what is used of it and left.

        Both are None where the store cannot be reached, where no stage counts the limit, and where
        there is a count for each user, key and so on.
        """
        blocks = self._holder.current.limits.get(caller.policy, ())
        now, seen, whole = self._limiter.now(), dict[str, Meter](), dict[str, Limit]()
        for block in blocks:
            for meter in meters_of(block.limits, caller, caller.policy, enforce=block.enforce):
                if meter.key not in seen or meter.enforce:
                    seen[meter.key] = meter
                if not meter.parts:
                    whole[meter.key] = replace(meter.limit((), now), enforce=False)
        if not blocks:
            seen = {meter.key: meter for meter in meters_of((), caller, "", enforce=False)}
        standing = await self._look(caller, tuple(whole.values()), now)
        places = {key: place for place, key in enumerate(whole)}
        return [_told(seen[key], standing, places.get(key)) for key in seen]

    async def _look(self, caller: Caller, limits: tuple[Limit, ...], now: float) -> Standing | None:
        """Return how limits stand: who asks for nothing of them is told and takes nothing."""
        asked = Reserve(self._new_id(), caller.tenant, 0.0, limits, [0] * len(limits))
        try:
            decision = await self._limiter.reserve(asked)
        except StateUnavailable:
            return None
        if isinstance(decision, Admitted):
            self._limiter.release(decision.lease)
        # By the limits as they are: a process that goes on without its store has less of each.
        return Standing(limits, decision.used, now, ())


def _told(meter: Meter, standing: Standing | None, place: int | None) -> Mapping[str, Any]:
    rule = meter.rule
    told = {
        "limit": meter.title,
        "of": "tenant" if meter.own else "policy",
        "counts": meter.kind,
        "per": rule.per,
        "time": rule.time(),
        "enforced": meter.enforce,
        "amount": _shown(meter, meter.capacity),
        "used": None,
        "left": None,
        "new_in": None,
    }
    if standing is not None and place is not None:
        _, left, reset = standing.status(place)
        used = ceil(standing.used[place] - EDGE)
        told |= {"used": _shown(meter, used), "left": _shown(meter, left), "new_in": ceil(reset)}
    return told


def _shown(meter: Meter, amount: int) -> float:
    return amount / MICRO if meter.kind == "cost" else amount
