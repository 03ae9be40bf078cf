"""The arithmetic of limits and leases, without any I/O: what is taken, given back and charged."""

from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf
from typing import Final

from gateway.core.state import (
    EDGE,
    GRACE,
    MAX_AMOUNT,
    SOON,
    Admitted,
    Budget,
    Decision,
    Lease,
    Limit,
    Rate,
    Refused,
    Reserve,
)
from gateway.state.base import SWEPT

MEMORY: Final = 86_400.0
"""Seconds for which an ended budget and an unsettled lease are remembered."""
UNCOUNTED: Final = -1
"""Stands for the amount of an observed rate that would have refused: it was not counted."""


class Counter:
    """One limit's count. A rate uses `level` as of `at`; a budget `spent` and `held`; slots `held`.

    At `until` it is as good as new.
    """

    __slots__ = ("at", "held", "level", "spent", "until")

    def __init__(
        self,
        spent: int = 0,
        held: int = 0,
        level: float = 0.0,
        at: float = 0.0,
        until: float = 0.0,
    ) -> None:
        self.spent = spent
        self.held = held
        self.level = level
        self.at = at
        self.until = until


class Accounts:
    """Counters and leases. `now` is always epoch seconds by the store's clock."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter] = {}
        self.leases: dict[str, Lease] = {}

    def reserve(self, request: Reserve, now: float) -> Decision:
        """Take every amount or none."""
        limits, amounts, counters = request.limits, request.amounts, self.counters
        used: list[float] = []
        for limit, amount in zip(limits, amounts):  # noqa: B905 - `strict` costs a slower call
            counter = counters.get(limit.key) or self._counter(limit, now)
            if pace := limit.pace:
                level = counter.level - (now - counter.at) * pace
                level = level + amount if level > 0 else amount
                if level > limit.limit + EDGE:
                    return self._exceed(request, len(used), now)
                counter.level = level
                counter.at = now
                counter.until = now + level / pace
            else:
                level = counter.spent + counter.held + amount
                if level > limit.limit:
                    return self._exceed(request, len(used), now)
                counter.held += amount
            used.append(level)
        name, expires = request.id, now + request.deadline + GRACE
        lease = self.leases[name] = Lease(name, request.tenant, limits, amounts, expires)
        return Admitted(limits, used, now, (), lease)

    def lower(self, name: str, amounts: Sequence[int], now: float) -> None:
        """Give back what a lease holds beyond `amounts`."""
        lease = self.leases.get(name)
        if lease is None or lease.unsettled:
            return
        for index, limit in enumerate(lease.limits):
            before, wanted = lease.amounts[index], max(0, amounts[index])
            if wanted < before:
                lease.amounts[index] = wanted
                _take(limit, self._counter(limit, now), wanted - before, now)

    def settle(self, name: str, used: Sequence[int] | None, now: float) -> None:
        """Charge what was used, or all that is reserved, and end the lease; once."""
        lease = self.leases.pop(name, None)
        if lease is None:
            return
        amounts, counters = lease.amounts, self.counters
        for limit, reserved, amount in zip(lease.limits, amounts, used or amounts):  # noqa: B905 - one for each
            if (amount == reserved and limit.pace) or reserved == UNCOUNTED:
                continue
            if not 0 <= amount <= MAX_AMOUNT:
                amount = min(max(0, amount), MAX_AMOUNT)  # noqa: PLW2901 - a new name costs more
            counter = counters.get(limit.key) or self._counter(limit, now)
            if type(limit) is Rate:
                if amount < reserved:  # what is given back of a level need not wait for its decay
                    counter.level -= reserved - amount
                else:
                    _adjust(limit, counter, amount - reserved, now)
            elif not lease.unsettled:
                counter.held -= reserved
                if type(limit) is Budget:
                    counter.spent += amount
            elif type(limit) is Budget:
                counter.spent = max(0, counter.spent + amount - reserved)

    def release(self, name: str, now: float) -> None:
        """End the lease as if it had never been."""
        lease = self.leases.get(name)
        if lease is not None:
            self.settle(name, [0] * len(lease.limits), now)

    def expire(self, names: Iterable[str], now: float) -> None:
        """Charge these leases in full where they are over; forget those that waited long enough."""
        for name in names:
            lease = self.leases[name]
            if lease.expires > now:
                continue
            self.settle(name, None, now)
            if not lease.unsettled:
                lease.unsettled = True
                lease.expires = now + MEMORY
                self.leases[name] = lease

    def sweep(self, now: float) -> None:
        """Expire leases and drop counters that are as good as new, SWEPT of each at most."""
        over = [name for name, lease in self.leases.items() if lease.expires <= now]
        self.expire(over[:SWEPT], now)
        for key in list(islice(self.counters, SWEPT)):
            # Taken from the front and put back at the end, so that every one has its turn.
            counter = self.counters.pop(key)
            if counter.held or counter.until > now:
                self.counters[key] = counter

    def _counter(self, limit: Limit, now: float) -> Counter:
        counter = self.counters.get(limit.key)
        if counter is None:
            until = limit.ends + MEMORY if type(limit) is Budget else 0.0
            counter = self.counters[limit.key] = Counter(at=now, until=until)
        return counter

    def _exceed(self, request: Reserve, taken: int, now: float) -> Decision:
        """Give back what the first `taken` limits gave, and refuse where one of all is enforced.

        Otherwise take all the same. An observed rate stays at what enforcing it would have let in,
        or it would never recover.
        """
        limits, amounts = request.limits, request.amounts
        counters = [self._counter(limit, now) for limit in limits]
        for limit, counter, amount in zip(limits[:taken], counters, amounts, strict=False):
            _take(limit, counter, -amount, now)
        used = [_used(limit, counter, now) for limit, counter in zip(limits, counters, strict=True)]
        waits = waits_of(request, used, [counter.held for counter in counters], now)
        refused = refusal(request, used, waits, now)
        if refused is not None:
            return refused
        counted = list(amounts)
        for index, (limit, counter) in enumerate(zip(limits, counters, strict=True)):
            if index in waits and type(limit) is Rate:
                counted[index] = UNCOUNTED
            else:
                _take(limit, counter, amounts[index], now)
                used[index] += amounts[index]
        expires = now + request.deadline + GRACE
        lease = Lease(request.id, request.tenant, limits, counted, expires)
        self.leases[request.id] = lease
        return Admitted(limits, used, now, tuple(waits), lease)


def waits_of(
    request: Reserve, used: Sequence[float], held: Sequence[int], now: float
) -> dict[int, float]:
    """Return the limits whose amount does not fit, and in how many seconds it may."""
    waits = {}
    for index, (limit, amount) in enumerate(zip(request.limits, request.amounts, strict=True)):
        excess = used[index] + amount - limit.limit
        if excess <= (EDGE if type(limit) is Rate else 0):
            continue
        if amount > limit.limit:
            waits[index] = inf
        elif type(limit) is Rate:
            waits[index] = excess / limit.pace
        elif type(limit) is Budget and excess > held[index]:
            waits[index] = max(0.0, limit.ends - now)
        else:
            waits[index] = SOON
    return waits


def refusal(
    request: Reserve, used: Sequence[float], waits: dict[int, float], now: float
) -> Refused | None:
    """Return the refusal by the limit that binds longest; None when none of them is enforced."""
    limits = request.limits
    enforced = [index for index in waits if limits[index].enforce]
    if not enforced:
        return None
    longest = max(enforced, key=waits.__getitem__)
    return Refused(limits, used, now, tuple(waits), limits[longest].key, waits[longest])


def _used(limit: Limit, counter: Counter, now: float) -> float:
    """Return how much of a limit is taken at this moment."""
    if type(limit) is not Rate:
        return counter.spent + counter.held
    # When the clock went back: from here on nobody waits for more than one window.
    counter.at = min(counter.at, now)
    level = counter.level - (now - counter.at) * limit.pace
    return level if level > 0 else 0.0


def _take(limit: Limit, counter: Counter, change: int, now: float) -> None:
    """Hold more of a limit, or less."""
    if type(limit) is Rate:
        _adjust(limit, counter, change, now)
    else:
        counter.held += change


def _adjust(limit: Rate, counter: Counter, change: int, now: float) -> None:
    level = counter.level
    if now > counter.at:
        level -= (now - counter.at) * limit.pace
    level = level + change if level > 0 else change
    counter.level = level = level if level > 0 else 0.0
    counter.at = now
    counter.until = now + level / limit.pace
