"""Limits in Redis for a whole fleet, and in this process while Redis cannot be reached."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock
from gateway.core.state import (
    GRACE,
    MAX_AMOUNT,
    Admitted,
    Budget,
    Decision,
    Lease,
    Limit,
    Refused,
    Reserve,
)
from gateway.state.accounts import MEMORY, Accounts
from gateway.state.base import SWEPT
from gateway.state.meter_file import MeterFile
from gateway.state.redis.link import Answer, Link, Rejected, Unreachable
from gateway.state.redis.outbox import Outbox
from gateway.state.redis.scripts import RESERVE, SETTLE, SWEEP
from gateway.state.redis.words import EPOCH, FOREIGN, KNOWN, Words, decision, reserving, settling
from gateway.state.writer import PUBLIC

AWAY: Final = 2.0
"""Seconds after which it is worth a try whether Redis is back."""
_log = logging.getLogger(__name__)


class Holding(Struct):
    """A lease that this process has not settled yet."""

    lease: Lease
    confirmed: str = ""
    """The epoch in which Redis said that it has it."""
    sent: bool = False
    """A reservation of it is in Redis, or may be on its way there."""


class RedisLimiter:
    """A Limiter. While `down`, budgets go by a local lease, other limits by this process alone."""

    def __init__(self, link: Link, meter: MeterFile, clock: Clock, share: float) -> None:
        """`share` is the part of each budget that may be spent without Redis."""
        self.down = True
        self.lost = asyncio.Event()
        """Set when a call got no answer."""
        self.start = clock.wall() - clock.uptime()
        """The epoch time of this machine's start, by the clock of Redis as soon as it is known."""
        self.held: dict[str, Holding] = {}
        self.outbox = Outbox()
        self.accounts = Accounts()
        self._link = link
        self._meter = meter
        self._clock = clock
        self._share = share

    def now(self) -> float:
        return self.start + self._clock.uptime()

    async def reserve(self, request: Reserve, /) -> Decision:
        if self.down:
            return self._reserve_here(request, sent=False)
        epoch = self._link.epoch
        try:
            answer = await self._link.ask(RESERVE, *reserving(request))
            if answer == EPOCH:
                self.lose()
                return self._reserve_here(request, sent=False)
            decided = decision(answer, request, epoch)
        except Unreachable as error:
            self.lose()
            return self._reserve_here(request, sent=error.sent)
        except Rejected as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error
        except asyncio.CancelledError:
            # It may be decided already: whoever asked is gone, so it is given back in its turn.
            self._give_back(request)
            raise
        if isinstance(decided, Admitted):
            self._hold(decided.lease, confirmed=epoch, sent=True)
        return decided

    def lower(self, lease: Lease, amounts: Sequence[int], /) -> None:
        holding = self.held.get(lease.id)
        if holding is None or lease.expires <= self.now():
            return
        pairs = zip(lease.amounts, amounts, strict=True)
        lease.amounts = [min(before, max(0, wanted)) for before, wanted in pairs]
        self.accounts.lower(lease.id, amounts, self.now())
        if holding.sent and not self.down:
            words = settling(lease, holding.confirmed, lease.amounts, lower=True)
            self._link.put(SETTLE, *words, done=self._heard)

    def settle(self, lease: Lease, used: Sequence[int] | None, /) -> None:
        used = [min(max(0, amount), MAX_AMOUNT) for amount in used or lease.amounts]
        holding = self.held.pop(lease.id, None)
        if holding is None:
            # Another process's lease, or one that was ended before: Redis knows which, unless it
            # lost its data since, and then all that was charged is in its new life already.
            if lease.epoch and lease.epoch == self._link.epoch:
                self._tell(lease.id, settling(lease, lease.epoch, used))
            return
        self.accounts.settle(lease.id, used, self.now())
        for limit, amount in zip(lease.limits, used, strict=True):
            if isinstance(limit, Budget):
                self._meter.add(limit.key, amount, limit.ends)
                if not holding.sent:
                    self.outbox.owe(limit.key, amount, limit.ends)
        if holding.sent:
            self._tell(lease.id, settling(lease, holding.confirmed, used))

    def release(self, lease: Lease, /) -> None:
        self.settle(lease, [0] * len(lease.limits))

    async def flush(self) -> None:
        if self.down:
            raise StateUnavailable(PUBLIC, detail="redis is not used at the moment")
        try:
            answer = await self._link.ask(SWEEP, 0)
        except (Unreachable, Rejected) as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error
        if answer == EPOCH:
            self.lose()
            raise StateUnavailable(PUBLIC, detail="redis lost its data a moment ago")

    def lose(self) -> None:
        """Go on without Redis until it is found again."""
        self.down = True
        self.lost.set()

    def forget_confirmations(self) -> None:
        """Take note that Redis lost its data: no lease is in it any more."""
        for holding in self.held.values():
            holding.confirmed, holding.sent = "", False

    def resume(self, fresh: str) -> None:
        """Go on with Redis, which is told first what happened without it.

        `fresh` is a name that was never used. Calls are carried in order, so whatever comes next
        finds the leases there.
        """
        for holding in self.held.values():
            if not holding.confirmed:
                self._take_over(holding)
        for name, words in self.outbox.waiting(fresh):
            self.outbox.told(name)
            self._link.put(SETTLE, *words, done=partial(self._told, name, words))
        self._link.hand_over()
        self.down = False

    def sweep(self) -> None:
        """Have leases charged that are over, and forget those that nobody will settle any more."""
        now = self.now()
        self.accounts.sweep(now)
        for name in [n for n, x in self.held.items() if x.lease.expires + MEMORY < now][:SWEPT]:
            del self.held[name]
        if not self.down:
            self._link.put(SWEEP, SWEPT, done=self._heard)

    def _reserve_here(self, request: Reserve, *, sent: bool) -> Decision:
        limits = tuple([self._lease_of(limit) for limit in request.limits])
        local = replace(request, limits=limits, amounts=list(request.amounts))
        decided = self.accounts.reserve(local, self.now())
        if not isinstance(decided, Admitted):
            if sent:
                self._give_back(request)
            return _refused_here(request, decided)
        expires = decided.lease.expires
        lease = Lease(request.id, request.tenant, request.limits, request.amounts, expires)
        self._hold(lease, sent=sent)
        return replace(decided, lease=lease)

    def _lease_of(self, limit: Limit) -> Limit:
        """Return what this process may spend by itself: of a budget its share, else the limit."""
        if isinstance(limit, Budget):
            return replace(limit, limit=ceil(limit.limit * self._share))
        return limit

    def _hold(self, lease: Lease, *, confirmed: str = "", sent: bool) -> None:
        self.held[lease.id] = Holding(lease, confirmed, sent)

    def _take_over(self, holding: Holding) -> None:
        """Put a lease into Redis that was taken without it, or of which nobody knows."""
        lease, epoch, first = holding.lease, self._link.epoch, not holding.sent
        seconds = max(0.0, lease.expires - self.now() - GRACE)
        request = Reserve(lease.id, lease.tenant, seconds, lease.limits, lease.amounts)

        def done(answer: Answer) -> None:
            if self._heard(answer) and first and not str(answer).startswith(KNOWN):
                holding.confirmed = epoch

        holding.sent = True
        self._link.put(RESERVE, *reserving(request, force=True), done=done)

    def _give_back(self, request: Reserve) -> None:
        nothing = [0] * len(request.limits)
        lease = Lease(request.id, request.tenant, request.limits, nothing, 0.0)
        self._tell(lease.id, settling(lease, "", nothing))

    def _tell(self, name: str, words: Words) -> None:
        if self.down:
            self.outbox.settle(name, words)
        else:
            self._link.put(SETTLE, *words, done=partial(self._told, name, words))

    def _told(self, name: str, words: Words, answer: Answer) -> None:
        if not self._heard(answer):
            self.outbox.settle(name, words)

    def _heard(self, answer: Answer) -> bool:
        """Tell whether Redis dealt with a call, be it by refusing it for good."""
        if isinstance(answer, Unreachable) or answer == EPOCH:
            self.lose()
            return False
        if isinstance(answer, Rejected) or answer.startswith(FOREIGN):
            _log.error("redis refused a change: %s", answer)
        return True


def _refused_here(request: Reserve, refused: Refused) -> Refused:
    """Return the refusal; whether a budget itself has room is known to Redis only."""
    found = zip(request.limits, request.amounts, strict=True)
    limit, amount = next(pair for pair in found if pair[0].key == refused.key)
    if not isinstance(limit, Budget) or amount > limit.limit:
        return refused
    return replace(refused, retry_after=min(AWAY, refused.retry_after), alone=True)
