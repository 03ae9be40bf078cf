"""The arithmetic of limits and leases, without any I/O: what is taken, given back and charged."""

from collections.abc import Iterable, Mapping
from itertools import islice
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.state import (
    GRACE,
    MAX_AMOUNT,
    SOON,
    Admitted,
    Budget,
    Lease,
    Limit,
    LimitStatus,
    Rate,
    Refused,
    Reserve,
)
from gateway.state.base import SWEPT

EDGE: Final = 1e-3
"""Of a unit: what a level may exceed its burst by, as times are exact to half a microsecond."""
MEMORY: Final = 86_400.0
"""Seconds for which an ended budget and an unsettled lease are remembered."""
UNCOUNTED: Final = -1
"""Stands for the amount of an observed rate that would have refused: it was not counted."""


class Counter(Struct, gc=False):
    """One limit's count. A rate uses `level` as of `at`; a budget `spent` and `held`; slots `held`.

    At `until` it is as good as new.
    """

    spent: int = 0
    held: int = 0
    level: float = 0.0
    at: float = 0.0
    until: float = 0.0


class Held(Struct, array_like=True):
    """A lease as the store keeps it. `amounts` belong to `limits`, one each."""

    tenant: str
    limits: tuple[Limit, ...]
    amounts: list[int]
    expires: float
    unsettled: bool = False
    """It expired, was charged in full and may still be settled late."""


class Accounts:
    """Counters and leases. `now` is always epoch seconds by the store's clock."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter] = {}
        self.leases: dict[str, Held] = {}

    def reserve(self, request: Reserve, now: float) -> Admitted | Refused:
        """Take every amount or none."""
        limits, counters = request.limits, self.counters
        found = [counters.get(limit.key) or self._counter(limit, now) for limit in limits]
        waits: dict[str, float] = {}
        for limit, counter in zip(limits, found, strict=True):
            wait = wait_for(limit, counter, now)
            if wait >= 0:
                waits[limit.key] = wait
        if not waits:
            amounts, taken = _take_all(limits, found, now)
        else:
            refused = refusal(limits, found, waits, now)
            if refused is not None:
                return refused
            amounts, taken = _observe(limits, found, waits, now)
        expires = now + request.deadline + GRACE
        self.leases[request.id] = Held(request.tenant, limits, amounts, expires)
        return Admitted(Lease(request.id, request.tenant, expires, limits), tuple(taken))

    def lower(self, name: str, amounts: Mapping[str, int], now: float) -> None:
        """Give back what a lease holds beyond `amounts`."""
        held = self.leases.get(name)
        if held is None or held.unsettled:
            return
        for index, limit in enumerate(held.limits):
            before, wanted = held.amounts[index], amounts.get(limit.key)
            if wanted is None or wanted >= before:
                continue
            held.amounts[index] = wanted = max(0, wanted)
            counter = self._counter(limit, now)
            if type(limit) is Rate:
                _adjust(limit, counter, wanted - before, now)
            else:
                counter.held -= before - wanted

    def settle(self, name: str, amounts: Mapping[str, int], now: float) -> None:
        """Charge what was used and end the lease; nothing happens the second time."""
        held = self.leases.pop(name, None)
        if held is None:
            return
        for limit, reserved in zip(held.limits, held.amounts, strict=True):
            used = amounts.get(limit.key, reserved)
            if reserved == UNCOUNTED or (used == reserved and type(limit) is Rate):
                continue
            if not 0 <= used <= MAX_AMOUNT:
                used = min(max(0, used), MAX_AMOUNT)
            if type(limit) is Rate:
                _adjust(limit, self._counter(limit, now), used - reserved, now)
            else:
                self._charge(limit, reserved, used, now, late=held.unsettled)

    def release(self, name: str, now: float) -> None:
        """End the lease as if it had never been."""
        held = self.leases.get(name)
        if held is not None:
            self.settle(name, {limit.key: 0 for limit in held.limits}, now)

    def expire(self, names: Iterable[str], now: float) -> None:
        """Charge these leases in full where they are over; forget those that waited long enough."""
        for name in names:
            held = self.leases[name]
            if held.expires > now:
                continue
            if held.unsettled:
                del self.leases[name]
                continue
            for limit, reserved in zip(held.limits, held.amounts, strict=True):
                if type(limit) is not Rate:
                    self._charge(limit, reserved, reserved, now, late=False)
            held.unsettled = True
            held.expires = now + MEMORY

    def sweep(self, now: float) -> None:
        """Expire leases and drop counters that are as good as new, SWEPT of each at most."""
        over = [name for name, held in self.leases.items() if held.expires <= now]
        self.expire(over[:SWEPT], now)
        for key in list(islice(self.counters, SWEPT)):
            # Taken from the front and put back at the end, so that every one has its turn.
            counter = self.counters.pop(key)
            if counter.held or counter.until > now:
                self.counters[key] = counter

    def _counter(self, limit: Limit, now: float) -> Counter:
        counter = self.counters.get(limit.key)
        if counter is None:
            counter = self.counters[limit.key] = Counter(at=now)
        return counter

    def _charge(self, limit: Limit, reserved: int, used: int, now: float, *, late: bool) -> None:
        """Charge what is no rate."""
        counter = self._counter(limit, now)
        if not late:
            counter.held -= reserved
            if type(limit) is Budget:
                counter.spent += used
        elif type(limit) is Budget:
            counter.spent = max(0, counter.spent + used - reserved)


def wait_for(limit: Limit, counter: Counter, now: float) -> float:
    """Return -1 when the amount fits, else the seconds until it may."""
    amount = limit.amount
    if type(limit) is Rate:
        level = counter.level
        if level and now > counter.at:
            level -= (now - counter.at) * limit.limit / limit.period
            counter.level = level = level if level > 0 else 0.0
        # Also when the clock went back: then nobody waits for more than one window.
        counter.at = now
        excess = level + amount - limit.burst
        if excess <= EDGE:
            return -1
        return inf if amount > limit.burst else excess * limit.period / limit.limit
    if counter.spent + counter.held + amount <= limit.limit:
        return -1
    if amount > limit.limit:
        return inf
    if type(limit) is Budget and counter.spent + amount > limit.limit:
        return max(0.0, limit.ends - now)
    return SOON


def _take_all(
    limits: Iterable[Limit], found: Iterable[Counter], now: float
) -> tuple[list[int], list[LimitStatus]]:
    """Take every amount, and return the amounts and how the limits stand then."""
    amounts, taken = [], []
    for limit, counter in zip(limits, found, strict=True):
        amount = limit.amount
        amounts.append(amount)
        if type(limit) is Rate:
            counter.level = level = counter.level + amount
            burst, reset = limit.burst, level * limit.period / limit.limit
            room = int(burst - level + EDGE) if level < burst else 0
            counter.until = now + reset
            taken.append(LimitStatus(limit.key, burst, room, reset))
        else:
            counter.held += amount
            if type(limit) is Budget:
                counter.until = limit.ends + MEMORY
            taken.append(status_of(limit, counter, now))
    return amounts, taken


def status_of(limit: Limit, counter: Counter, now: float) -> LimitStatus:
    """Return how a limit stands whose counter is of this moment."""
    if type(limit) is Rate:
        room = limit.burst - counter.level
        reset = counter.level * limit.period / limit.limit
        return LimitStatus(limit.key, limit.burst, int(room + EDGE) if room > 0 else 0, reset)
    left = limit.limit - counter.spent - counter.held
    reset = limit.ends - now if type(limit) is Budget else 0.0
    return LimitStatus(limit.key, limit.limit, max(0, left), max(0.0, reset))


def refusal(
    limits: tuple[Limit, ...], found: list[Counter], waits: Mapping[str, float], now: float
) -> Refused | None:
    """Return the refusal by the limit that binds longest; None when none of them is enforced."""
    enforced = [waits[x.key] for x in limits if x.enforce and x.key in waits]
    if not enforced:
        return None
    longest = max(enforced)
    return Refused(
        next(x.key for x in limits if x.enforce and waits.get(x.key) == longest),
        longest,
        tuple(
            replace(status_of(x, counter, now), exceeded=x.key in waits)
            for x, counter in zip(limits, found, strict=True)
        ),
    )


def _observe(
    limits: tuple[Limit, ...], found: list[Counter], waits: Mapping[str, float], now: float
) -> tuple[list[int], list[LimitStatus]]:
    """Take, although limits that are not enforced are exceeded.

    Such a rate stays at what enforcing it would have let in, or it would never recover.
    """
    amounts, taken = [], []
    for limit, counter in zip(limits, found, strict=True):
        over = limit.key in waits
        if over and type(limit) is Rate:
            amounts.append(UNCOUNTED)
            status = status_of(limit, counter, now)
        else:
            (amount,), (status,) = _take_all((limit,), (counter,), now)
            amounts.append(amount)
        taken.append(replace(status, exceeded=over))
    return amounts, taken


def _adjust(limit: Rate, counter: Counter, change: int, now: float) -> None:
    level, pace = counter.level, limit.limit / limit.period
    if now > counter.at:
        level -= (now - counter.at) * pace
    level = (level if level > 0 else 0.0) + change
    counter.level = level = level if level > 0 else 0.0
    counter.at = now
    counter.until = now + level / pace
