"""The walk along a request's targets: who is asked next, and when it ends."""

from collections.abc import Mapping
from math import inf
from random import Random
from typing import Final, NoReturn

from msgspec import Struct

from gateway.core.errors import (
    AllProvidersDown,
    BadRequest,
    CapabilityMissing,
    Forbidden,
    GatewayError,
    Retry,
)
from gateway.core.exchange import Exchange
from gateway.core.health import Probe
from gateway.core.notes import Attempted, Routed, Used, Verdict
from gateway.core.ports import Clock
from gateway.core.refusal import refusal
from gateway.core.reply import Reply
from gateway.core.stage import Next
from gateway.stages.failover.learning import Learning
from gateway.stages.failover.strategies import Order
from gateway.stages.failover.targets import Candidate, Group, Targets

NAME: Final = "failover"
_JITTER: Final = 0.1
"""A wait is lengthened by up to so much of itself, so that those who wait do not come at once."""
_LEAST_JITTER: Final = 0.05
_LEAST_WAIT: Final = 0.5
_DOWN: Final = "No provider is to be had at this moment. Wait, then try again."


class Limits(Struct, frozen=True):
    """What a policy allows a chain. `name` is the strategy's; `max_cost` is in micro-dollars."""

    name: str
    attempts: int
    deadline: float | None
    max_cost: int | None


class Rules(Struct, frozen=True):
    """What all walks of one stage share. `fallbacks` are for what `core.refusal` may return."""

    clock: Clock
    random: Random
    learning: Learning
    fallbacks: Mapping[str, Targets]
    order: Order
    limits: Limits


class Walk:
    """One request's way. A target that failed is not asked again, one that is busy may be."""

    __slots__ = (
        *("attempts", "budget", "candidates", "ceiling", "deadline", "exchange", "last", "lacks"),
        *("limits", "misfits", "notes", "paid", "proceed", "rules", "said", "tried"),
    )

    def __init__(self, rules: Rules, exchange: Exchange, proceed: Next, group: Group) -> None:
        self.rules = rules
        self.exchange = exchange
        self.proceed = proceed
        self.budget = group.budget
        self.candidates = group.candidates
        self.limits = limits = rules.limits
        self.notes = exchange.notes
        self.deadline = exchange.deadline
        self.ceiling = _lower(exchange.max_cost, limits.max_cost)
        self.attempts = 0
        self.paid = False
        """Whether the next try is paid for already."""
        self.last: GatewayError | None = None
        self.lacks: CapabilityMissing | None = None
        self.misfits: list[str] = []
        self.said: list[str] = []
        """What was wrong with the targets so far, for the header that explains the route."""
        self.tried: list[Candidate] = []

    async def run(self, now: float) -> Reply:
        """Walk. Raises GatewayError."""
        limits, rules = self.limits, self.rules
        if limits.deadline is not None:
            self.deadline = min(self.deadline, now + limits.deadline)
        self.candidates = tuple(rules.order(self.candidates, self.exchange, now))
        while True:
            candidate = self._next(now) or (None if self.attempts else self._least_bad(now))
            if candidate is None:
                await self._wait(now)
                now = rules.clock.monotonic()
                continue
            self._pay(now)
            reply = await self._try(candidate, now)
            if reply is not None:
                return reply
            now = rules.clock.monotonic()

    def _next(self, now: float) -> Candidate | None:
        tried = self.tried
        for candidate in self.candidates:
            if candidate in tried:
                continue
            if not candidate.condition.available(now):
                if not self.attempts:
                    self._say(f"{candidate.model.provider} is left alone")
            elif self._fits(candidate):
                return candidate
        return None

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
        self._say(f"{candidate.model.name} lacks {reason}")

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
        condition, notes = candidate.condition, self.notes
        before = notes.last(Attempted) if self.attempts else None
        notes.add(self._routed(candidate))
        aimed = candidate.aim(self.exchange, now, self.limits.name, self.deadline)
        probe = condition.enter(now)
        try:
            reply = await self.proceed(aimed)
        except GatewayError as error:
            attempt = notes.last(Attempted)
            condition.leave()
            if attempt is None or attempt is before:
                condition.released(probe)
                self._refused_here(candidate, error)
            else:
                self._failed(candidate, error, probe, attempt)
            return None
        except BaseException:
            self.rules.learning.interrupted(condition, self.exchange, probe, self.deadline)
            raise
        self.rules.learning.answered(condition, self.exchange, reply, probe)
        if self.last is not None:
            self.rules.learning.pardon(self.exchange)
            notes.add(Verdict(NAME, "failed over"))
        return reply

    def _routed(self, candidate: Candidate) -> Routed:
        if self.said:
            return candidate.routed(f"{NAME}: {', '.join(self.said)}")
        if candidate.first is None:
            candidate.first = candidate.routed(self.limits.name)
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
        if error.retry is Retry.NEVER:
            raise error
        self.tried.append(candidate)
        self.last = error
        self._say(f"{candidate.model.provider} {error.code}")

    def _failed(
        self, candidate: Candidate, error: GatewayError, probe: Probe | None, attempt: Attempted
    ) -> None:
        """Learn from a failure. Raises it when nothing else may help."""
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
            self.candidates = (*rest, candidate)
        else:
            self.tried.append(candidate)
        if self.attempts >= self.limits.attempts:
            self._give_up("attempts spent")
        if attempt.ended >= self.deadline:
            self._give_up("deadline")

    def _elsewhere(self, candidate: Candidate, error: GatewayError) -> None:
        """Go where the policy sends requests that were refused like this, or raise the refusal."""
        targets = self.rules.fallbacks.get(refusal(error))
        if targets is None or self.attempts >= self.limits.attempts:
            raise error
        self.last = error
        asked = [each.condition for each in (*self.tried, candidate)]
        found = targets.of(self.exchange).candidates
        self.candidates = tuple(each for each in found if each.condition not in asked)
        self.tried = []

    def _say(self, what: str) -> None:
        if what not in self.said:
            self.said.append(what)

    def _give_up(self, why: str) -> NoReturn:
        """End the chain with its last error."""
        self.notes.add(Verdict(NAME, f"gave up: {why}"))
        raise self.last or AllProvidersDown(_DOWN)

    def _end(self, now: float) -> NoReturn:
        """End the chain: nobody is left to ask, or none may be asked in time."""
        if self.last is not None:
            self._give_up("no target left")
        alone = [each.condition for each in self.candidates if each not in self.tried]
        if not alone and self.misfits:
            raise self._unfit()
        soonest = min((each.recovers_at(now) for each in alone), default=now)
        self.notes.add(Verdict(NAME, "all providers down"))
        raise AllProvidersDown(
            _DOWN,
            detail=", ".join(self.said),
            retry_after=max(_LEAST_WAIT, soonest - now) if alone else None,
        )

    def _unfit(self) -> GatewayError:
        """Return what to tell of a request that no target can or may serve."""
        self.notes.add(Verdict(NAME, "no target fits"))
        if self.lacks is not None:
            return self.lacks
        if "context" in self.misfits:
            return CapabilityMissing("No model here can hold so long a prompt.", param="messages")
        if "cost" in self.misfits:
            return BadRequest(
                "No model here is sure to answer within the cost that is allowed. Allow more, or"
                " ask for fewer tokens.",
                code="max_cost_exceeded",
                param="x-turnout-max-cost",
            )
        return Forbidden("No model here is for this tenant.", code="model_not_allowed")


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
