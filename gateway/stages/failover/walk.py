"""The walk along a request's targets: who is asked next, and when it ends."""

from collections.abc import Mapping
from math import inf
from random import Random
from typing import Final, NoReturn

from msgspec import Struct

from gateway.core.errors import (
    CapabilityMissing,
    GatewayError,
    Overloaded,
    Retry,
)
from gateway.core.exchange import Exchange
from gateway.core.health import Probe
from gateway.core.notes import Attempted, Routed, Used, Verdict
from gateway.core.ports import Clock
from gateway.core.refusal import refusal
from gateway.core.reply import Reply
from gateway.core.stage import Next
from gateway.stages.failover.ends import all_down, unfit
from gateway.stages.failover.hedge import Hedging, Race, wasted
from gateway.stages.failover.learning import Learning
from gateway.stages.failover.strategies import Order
from gateway.stages.failover.targets import Candidate, Group, Targets

NAME: Final = "failover"
_JITTER: Final = 0.1
"""A wait is lengthened by up to so much of itself, so that those who wait do not come at once."""
_LEAST_JITTER: Final = 0.05


class Rules(Struct, frozen=True, kw_only=True):
    """What all walks of one stage share.

    `name` is the strategy's, `seconds` bounds the whole chain, `max_cost` is in micro-dollars and
    `fallbacks` are for what `core.refusal` may return.
    """

    clock: Clock
    random: Random
    learning: Learning
    order: Order
    name: str = "ordered"
    attempts: int = 3
    seconds: float | None = None
    max_cost: int | None = None
    fallbacks: Mapping[str, Targets] = {}
    hedging: Hedging | None = None

    @property
    def plain(self) -> bool:
        """Whether the first target as listed is the first to try, whatever it costs."""
        return self.name == "ordered" and self.max_cost is None and self.hedging is None

    def deadline(self, exchange: Exchange, now: float) -> float:
        """Return the time at which a chain that begins now must be over."""
        seconds = self.seconds
        return exchange.deadline if seconds is None else min(exchange.deadline, now + seconds)


class Walk:
    """One request's way. A target that failed is not asked again, one that is busy may be."""

    __slots__ = (
        *("attempts", "budget", "candidates", "ceiling", "deadline", "exchange", "last", "lacks"),
        *("astray", "misfits", "notes", "paid", "proceed", "rules", "said", "tried"),
    )

    def __init__(
        self, rules: Rules, exchange: Exchange, proceed: Next, group: Group, now: float
    ) -> None:
        self.rules = rules
        self.exchange = exchange
        self.proceed = proceed
        self.budget = group.budget
        self.candidates = rules.order(group.candidates, exchange, now)
        if group.budget.low:  # those that would need a second try go last
            self.candidates = sorted(self.candidates, key=_is_failing)
        self.notes = exchange.notes
        self.deadline = rules.deadline(exchange, now)
        self.ceiling = _lower(exchange.max_cost, rules.max_cost)
        self.attempts = 0
        self.paid = False
        """Whether the next try is paid for already."""
        self.last: GatewayError | None = None
        self.lacks: CapabilityMissing | None = None
        self.misfits: list[str] = []
        self.astray = False
        """Whether it does not go where a request like this goes when all is well."""
        self.said: list[str] = []
        """What was wrong with the targets so far, for the header that explains the route."""
        self.tried: list[Candidate] = []

    async def run(self, now: float) -> Reply:
        """Walk. Raises GatewayError."""
        hedging = self.rules.hedging
        if hedging is not None:
            hedging.earn(self.budget)
        while True:
            candidate = self._next(now) or (None if self.attempts else self._least_bad(now))
            if candidate is None:
                await self._wait(now)
            else:
                self._pay(now)
                late = hedging and not self.attempts and hedging.delay(candidate, self.exchange)
                if hedging and late:
                    reply = await self._race(hedging, candidate, late, now)
                else:
                    reply = await self._try(candidate, now)
                if reply is not None:
                    return self._arrived(reply)
            now = self.rules.clock.monotonic()

    async def _race(
        self, hedging: Hedging, candidate: Candidate, late: float, now: float
    ) -> Reply | None:
        """Try a target, and after so many seconds without an answer the next one beside it."""
        race = Race(hedging.runtime)
        won = None
        try:
            race.start(candidate, self._try(candidate, now))
            won = await race.winner(late)
            if won is None and race.under_way:
                now = self.rules.clock.monotonic()
                second = self._second(hedging, candidate, now)
                if second is not None:
                    self.notes.add(Verdict(NAME, "hedged"))
                    race.start(second, self._try(second, now))
                won = await race.winner()
        finally:
            for lost in await race.end(won):
                self.notes.add(wasted(lost.candidate, self.exchange.request))
        if won is not None:
            return won.reply
        errors = [run.error for run in race.runs if run.error is not None]
        if errors:
            raise errors[-1]
        return None

    def _second(self, hedging: Hedging, first: Candidate, now: float) -> Candidate | None:
        """Return whom to ask beside the first, if anybody, and if there is money for it."""
        for candidate in self.candidates:
            if candidate is first or not candidate.condition.available(now):
                continue
            if not self._fits(candidate):
                continue
            price = hedging.price(first, candidate, self.exchange.request)
            return candidate if price and self.budget.hedge(price, now) else None
        return None

    def _arrived(self, reply: Reply) -> Reply:
        if self.last is not None:
            self.rules.learning.pardon(self.exchange)
            self.notes.add(Verdict(NAME, "failed over"))
        return reply

    def _next(self, now: float) -> Candidate | None:
        """Return who is next: one with a free slot, else one where a slot is waited for."""
        tried, full = self.tried, None
        for candidate in self.candidates:
            if candidate in tried:
                continue
            if not candidate.condition.available(now):
                if not self.attempts:
                    self._say(f"{candidate.model.provider} is left alone")
            elif self._fits(candidate):
                if not candidate.slots.full:
                    return candidate
                full = full or candidate
                self._say(f"{candidate.model.provider} is full")
        return full

    def _fits(self, candidate: Candidate) -> bool:
        ceiling = self.ceiling
        if ceiling is not None:
            ceiling -= sum(used.micro_dollars or 0 for used in self.notes.all(Used))
        reason = candidate.misfit(self.exchange, ceiling)
        if reason:
            self._skip(candidate, reason)
        return not reason

    def _skip(self, candidate: Candidate, reason: str) -> None:
        self.tried.append(candidate)
        self.misfits.append(reason)
        # What it can cost depends on more than the request; all else is the same every time.
        self._say(f"{candidate.model.name} lacks {reason}", astray=reason == "cost")

    def _least_bad(self, now: float) -> Candidate | None:
        """Return a target that fails often rather than nothing: the last usable is never shut."""
        for candidate in self.candidates:
            fails = candidate not in self.tried and candidate.condition.better_than_nothing(now)
            if fails and self._fits(candidate):
                self.notes.add(Verdict(NAME, "panic"))
                return candidate
        return None

    def _pay(self, now: float) -> None:
        """Pay for a try beyond the first. Raises the last error when the budget is spent."""
        if self.attempts and not self.paid:
            if not self.budget.take(now):
                self._give_up("retry budget spent")
            self.paid = True

    async def _wait(self, now: float) -> None:
        """Wait for a target that is only busy. Raises what the chain ends with if none will do."""
        busy = [
            each.condition
            for each in self.candidates
            if each not in self.tried
            and each.condition.breaker.closed
            and each.condition.key.closed
        ]
        until = min((each.paused_until for each in busy), default=inf)
        pause = max(0.0, until - now)
        pause += self.rules.random.uniform(0, max(_LEAST_JITTER, _JITTER * pause))
        if now + pause >= self.deadline:
            self._end(now)
        if not self.paid:
            # Waiting is paid for, so that few come together when the wait is over.
            if not self.budget.take(now):
                self._end(now)
            self.paid = True
        self.notes.add(Verdict(NAME, "waited"))
        await self.rules.clock.sleep(pause)

    async def _try(self, candidate: Candidate, now: float) -> Reply | None:
        """Return a target's answer, or None after learning from its failure.

        Raises GatewayError when no other target may help.
        """
        rules, condition = self.rules, candidate.condition
        before = self._tries(candidate) if self.attempts else 0
        self.notes.add(self._routed(candidate))
        probe = condition.enter(now)
        try:
            reply = await self.proceed(candidate.aim(self.exchange, rules.name, self.deadline))
        except GatewayError as error:
            self.heed(candidate, error, probe, before)
            return None
        except BaseException:
            rules.learning.interrupted(condition, self.exchange, probe, self.deadline)
            raise
        rules.learning.answered(condition, self.exchange, reply, probe)
        return reply

    def heed(
        self, candidate: Candidate, error: GatewayError, probe: Probe | None, before: int
    ) -> None:
        """Learn from an error, after `before` tries of this target. Raises it if nothing helps."""
        candidate.condition.leave()
        if self._tries(candidate) > before:
            self._failed(candidate, error, probe)
        else:
            candidate.condition.released(probe)
            self._refused_here(candidate, error)

    def _tries(self, candidate: Candidate) -> int:
        model = candidate.model
        at = (model.provider, model.name)
        return sum((note.provider, note.model) == at for note in self.notes.all(Attempted))

    def _routed(self, candidate: Candidate) -> Routed:
        if self.said:
            return candidate.routed(f"{NAME}: {', '.join(self.said)}", fallback=self.astray)
        return candidate.first

    def _refused_here(self, candidate: Candidate, error: GatewayError) -> None:
        """Heed that no target was asked: the relay found that this one cannot serve, or is full."""
        if self.paid and self.attempts:
            self.budget.give_back()
            self.paid = False
        if isinstance(error, CapabilityMissing):
            self.lacks = self.lacks or error
            self._skip(candidate, str(error.param))
            return
        if error.retry is Retry.NEVER and not isinstance(error, Overloaded):
            raise error
        self.tried.append(candidate)
        self.last = error
        self._say(f"{candidate.model.provider} {error.code}")

    def _failed(self, candidate: Candidate, error: GatewayError, probe: Probe | None) -> None:
        self.attempts += 1
        self.paid = False
        poison = self.rules.learning.failed(
            candidate.condition, self.exchange, error, probe, targets=len(self.candidates)
        )
        if poison:
            self.notes.add(Verdict(NAME, "poison"))
        self._say(f"{candidate.model.provider} {error.code}")
        if error.retry is Retry.NEVER:
            self._elsewhere(candidate, error)
            return
        self.last = error
        if error.retry is Retry.SAME:  # the others first
            rest = [each for each in self.candidates if each is not candidate]
            self.candidates = [*rest, candidate]
        else:
            self.tried.append(candidate)
        if self.attempts >= self.rules.attempts:
            self._give_up("attempts spent")
        if self.rules.clock.monotonic() >= self.deadline:
            self._give_up("deadline")

    def _elsewhere(self, candidate: Candidate, error: GatewayError) -> None:
        """Go where the policy sends requests that were refused like this, or raise the refusal."""
        targets = self.rules.fallbacks.get(refusal(error))
        if targets is None or self.attempts >= self.rules.attempts:
            raise error
        self.last = error
        asked = [each.condition for each in (*self.tried, candidate)]
        found = targets.of(self.exchange).candidates
        self.candidates = [each for each in found if each.condition not in asked]
        self.tried = []

    def _say(self, what: str, *, astray: bool = True) -> None:
        self.astray = self.astray or astray
        if what not in self.said:
            self.said.append(what)

    def _give_up(self, why: str) -> NoReturn:
        """End the chain with its last error."""
        self.notes.add(Verdict(NAME, f"gave up: {why}"))
        raise self.last or all_down((), 0.0, why)

    def _end(self, now: float) -> NoReturn:
        """End the chain: nobody is left to ask, or none may be asked in time."""
        if self.last is not None:
            self._give_up("no target left")
        alone = [each.condition for each in self.candidates if each not in self.tried]
        if not alone and self.misfits:
            self.notes.add(Verdict(NAME, "no target fits"))
            raise unfit(self.misfits, self.lacks)
        self.notes.add(Verdict(NAME, "all providers down"))
        raise all_down(alone, now, ", ".join(self.said))


def _is_failing(candidate: Candidate) -> bool:
    return candidate.condition.breaker.failing()


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
