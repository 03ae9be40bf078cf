"""The walk along a request's targets: one try after the other, and when it ends."""

from collections.abc import Sequence
from math import inf
from typing import Final, NoReturn

from gateway.core.condition import Probe
from gateway.core.errors import CapabilityMissing, GatewayError, Overloaded, Retry
from gateway.core.exchange import Exchange
from gateway.core.notes import Attempted, Routed, Verdict, Wasted
from gateway.core.refusal import refusal
from gateway.core.reply import Reply
from gateway.core.retry_budget import Token
from gateway.core.stage import Next
from gateway.stages.failover.choice import Choice
from gateway.stages.failover.hedge import Hedging, Race, Run, wasted
from gateway.stages.failover.rules import NAME, Rules
from gateway.stages.failover.targets import Candidate, Group

_JITTER: Final = 0.1
"""A wait is lengthened by up to so much of itself, so that those who wait do not come at once."""
_LEAST_JITTER: Final = 0.05
_SHORT: Final = 10.0
"""Seconds that anybody may wait for a first try; a caller told to come back would take as long."""


class Walk:
    """One request's way. A target that failed is not asked again, one that is busy may be."""

    __slots__ = (
        *("attempts", "budget", "choice", "deadline", "exchange", "last", "notes"),
        *("proceed", "rules", "sent", "token"),
    )

    def __init__(
        self, rules: Rules, exchange: Exchange, proceed: Next, group: Group, now: float
    ) -> None:
        self.rules = rules
        self.exchange = exchange
        self.proceed = proceed
        self.budget = group.budget
        ordered = candidates = rules.order(group.candidates, exchange, now)
        if group.budget.low:  # those that would need a second try go last
            candidates = sorted(candidates, key=_is_failing)
        self.choice = Choice(candidates, exchange, rules.ceiling(exchange))
        if candidates and candidates[0] is not ordered[0]:
            self.choice.say(f"{ordered[0].model.provider} often fails")
        self.notes = exchange.notes
        self.deadline = rules.deadline(exchange, now)
        self.attempts = 0
        self.sent = False
        """Whether some target was asked."""
        self.token: Token | None = None
        """What the next try is paid with, if it is paid for already."""
        self.last: GatewayError | None = None

    async def run(self, now: float) -> Reply:
        """Walk. Raises GatewayError."""
        hedging = self.rules.hedging
        if hedging is not None:
            hedging.earn(self.budget)
        try:
            while True:
                candidate = self._next(now)
                if candidate is None:
                    await self._wait(now)
                else:
                    reply = await self._ask(candidate, hedging, now)
                    if reply is not None:
                        return self._arrived(reply)
                now = self.rules.clock.monotonic()
        except GatewayError:
            self._waste(self.choice.lost[:-1])  # the last one is charged as what was reserved
            raise
        except BaseException:
            self._waste(self.choice.lost)
            raise
        finally:
            if self.token is not None:
                self.token.back(self.rules.clock.monotonic())

    def _next(self, now: float) -> Candidate | None:
        candidate = self.choice.best(now, first=not self.attempts)
        if candidate is None and not self.attempts:
            candidate = self.choice.least_bad(now)
            if candidate is not None:
                self.notes.add(Verdict(NAME, "panic"))
        return candidate

    async def _ask(self, candidate: Candidate, hedging: Hedging | None, now: float) -> Reply | None:
        """Try a target, or two. Raises the last error when the budget is spent."""
        if self.attempts and self.token is None:
            self.token = self.budget.take(now)
            if self.token is None:
                self._give_up("retry budget spent")
        late = hedging and not self.attempts and hedging.delay(candidate, self.exchange)
        if hedging and late:
            return await self._race(hedging, candidate, late, now)
        return await self._try(candidate, now)

    async def _race(
        self, hedging: Hedging, candidate: Candidate, late: float, now: float
    ) -> Reply | None:
        """Try a target, and after so many seconds without an answer the next one beside it."""
        race, token = Race(hedging.runtime), None
        won, first = None, self.choice.routed(candidate)
        try:
            race.start(candidate, self._try(candidate, now))
            won = await race.winner(late)
            if won is None and race.under_way:
                now = self.rules.clock.monotonic()
                second = self.choice.beside(candidate, now)
                price = second and hedging.price(candidate, second, self.exchange.request)
                token = self.budget.hedge(price, now) if price else None
                if second is not None and token is not None:
                    self.notes.add(Verdict(NAME, "hedged"))
                    self.choice.say(f"{candidate.model.provider} is slow", astray=False)
                    race.start(second, self._try(second, now, token))
                won = await race.winner()
        finally:
            ended = [run.candidate for run in await race.end(won)]
            self._set_apart(race, won)
            asked = [each for each in ended if self._tries(each)]
            lost = [wasted(each, self.exchange.request) for each in asked]
            self._waste(lost)
            if len(race.runs) > 1:
                self._count(race, won, lost, first)
            if token is not None:
                token.back(self.rules.clock.monotonic())
        if won is not None:
            return won.reply
        errors = [run.error for run in race.runs if run.error is not None]
        if errors:
            raise errors[-1].again()
        return None

    def _set_apart(self, race: Race, won: Run | None) -> None:
        """Have what a loser used not be taken for the winner's, where both answered at once."""
        if won is None or any(run.reply is None for run in race.runs):
            return
        model = won.candidate.model
        for note in self.notes.all(Attempted):
            if (note.provider, note.model, note.code) == (model.provider, model.name, ""):
                self.notes.bring_last(note)

    def _count(self, race: Race, won: Run | None, lost: Sequence[Wasted], route: Routed) -> None:
        hedges = self.budget.hedges
        hedges.won += won is race.runs[1]
        if won is race.runs[0]:
            hedges.lost += 1
            self.notes.add(route)  # nobody stands in for it after all
        hedges.micro_dollars += sum(each.micro_dollars or 0 for each in lost)

    def _waste(self, lost: Sequence[Wasted]) -> None:
        for each in lost:
            self.notes.add(each)

    def _arrived(self, reply: Reply) -> Reply:
        self._waste(self.choice.lost)
        if self.last is not None:
            self.rules.learning.pardon(self.exchange)
            self.notes.add(Verdict(NAME, "failed over"))
        return reply

    async def _wait(self, now: float) -> None:
        """Wait for a target that is only busy. Raises what the chain ends with if none will do."""
        until = min((each.paused_until for each in self.choice.busy()), default=inf)
        pause = max(0.0, until - now)
        pause += self.rules.random.uniform(0, max(_LEAST_JITTER, _JITTER * pause))
        if now + pause >= self.deadline:
            self._end(now)
        # A long wait is paid for, so that few come together when it is over.
        if self.token is None and (self.attempts or pause > _SHORT):
            self.token = self.budget.take(now)
            if self.token is None:
                self._end(now)
        self.notes.add(Verdict(NAME, "waited"))
        await self.rules.clock.sleep(pause)

    async def _try(
        self, candidate: Candidate, now: float, token: Token | None = None
    ) -> Reply | None:
        """Return a target's answer, or None after learning from its failure.

        `token` pays for it, if not what the walk holds. Raises GatewayError when no other target
        may help.
        """
        rules, condition = self.rules, candidate.condition
        before = self._tries(candidate) if self.attempts else 0
        self.notes.several = self.notes.several or self.sent or token is not None
        self.notes.add(self.choice.routed(candidate))
        probe = condition.enter(now)
        sent = self._sent if token is None else token.spend
        try:
            aimed = candidate.aim(self.exchange, self.deadline, sent)
            reply = await self.proceed(aimed)
        except GatewayError as error:
            self.heed(candidate, error, probe, before)
            return None
        except BaseException:
            rules.learning.interrupted(condition, self.exchange, probe, self.deadline)
            raise
        rules.learning.answered(condition, self.exchange, reply, probe)
        return reply

    def _sent(self, now: float) -> None:
        """Heed that a target is asked now: a try counts from here, however long it waited."""
        if not self.sent:
            self.sent = True
            self.budget.deposit(now)
        if self.token is not None:
            self.token.spend(now)
            self.token = None

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

    def _refused_here(self, candidate: Candidate, error: GatewayError) -> None:
        """Heed that no target was asked: the relay found that this one cannot serve, or is full."""
        if isinstance(error, CapabilityMissing):
            self.choice.skip(candidate, str(error.param), error)
            return
        if error.retry is Retry.NEVER and not isinstance(error, Overloaded):
            raise error.again()
        self.choice.drop(candidate, error.code)
        self.last = error.again()

    def _failed(self, candidate: Candidate, error: GatewayError, probe: Probe | None) -> None:
        self.attempts += 1
        self.sent = True
        attempt, request = self.notes.last(Attempted), self.exchange.request
        billed = attempt is not None and attempt.work == "unknown"
        if billed and request.endpoint != "count_tokens":
            self.choice.lost.append(wasted(candidate, request))
        poison = self.rules.learning.failed(
            candidate.condition, self.exchange, error, probe, targets=self.choice.count
        )
        if poison:
            self.notes.add(Verdict(NAME, "poison"))
        if error.retry is Retry.NEVER:
            self._elsewhere(candidate, error)
            return
        self.last = error.again()
        if error.retry is Retry.SAME:
            self.choice.defer(candidate, error.code)
        else:
            self.choice.drop(candidate, error.code)
        if self.attempts >= self.rules.attempts:
            self._give_up("attempts spent")
        if self.rules.clock.monotonic() >= self.deadline:
            self._give_up("deadline")

    def _elsewhere(self, candidate: Candidate, error: GatewayError) -> None:
        """Go where the policy sends requests that were refused like this, or raise the refusal."""
        kind = refusal(error)
        targets = self.rules.fallbacks.get(kind)
        if targets is None or self.attempts >= self.rules.attempts:
            raise error.again()
        self.last = error.again()
        self.choice.say(f"{candidate.model.provider} {kind}")
        self.choice.turn_to(targets.of(self.exchange).candidates, candidate)

    def _give_up(self, why: str) -> NoReturn:
        """End the chain with its last error."""
        self.notes.add(Verdict(NAME, f"gave up: {why}"))
        now = self.rules.clock.monotonic()
        last = self.last
        if last is None:
            raise self.choice.down(now)
        if last.retry is Retry.SAME:  # "later": which is when the first of them is free again
            last.retry_after = self.choice.free_in(now, last.retry_after)
        raise last.again()

    def _end(self, now: float) -> NoReturn:
        """End the chain: nobody is left to ask, or none may be asked in time."""
        if self.last is not None:
            self._give_up("no target left")
        misfit = self.choice.misfit()
        if misfit is not None:
            self.notes.add(Verdict(NAME, "no target fits"))
            raise misfit.again()
        self.notes.add(Verdict(NAME, "all providers down"))
        raise self.choice.down(now)


def _is_failing(candidate: Candidate) -> bool:
    return candidate.condition.breaker.failing()
