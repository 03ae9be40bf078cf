"""Whom of a request's targets to ask next, and what was wrong with the others."""

from collections.abc import Iterator, Sequence

from gateway.core.condition import Condition
from gateway.core.errors import AllProvidersDown, CapabilityMissing, GatewayError
from gateway.core.exchange import Exchange
from gateway.core.notes import Routed, Wasted
from gateway.core.outcome import gather
from gateway.stages.failover.ends import all_down, unfit
from gateway.stages.failover.hedge import wasted
from gateway.stages.failover.rules import NAME
from gateway.stages.failover.targets import Candidate


class Choice:
    """The targets that are left. One that was dropped does not come again."""

    __slots__ = (
        *("_astray", "_ceiling", "_dropped", "_exchange", "_lacks", "_misfits", "_said"),
        *("count", "left", "lost"),
    )

    def __init__(
        self, candidates: Sequence[Candidate], exchange: Exchange, ceiling: int | None
    ) -> None:
        """Take the targets, best first; `ceiling` is what all of it may cost in micro-dollars."""
        self.left = list(candidates)
        self.count = len(self.left)
        """How many there were."""
        self.lost: list[Wasted] = []
        """Attempts that broke, though their providers may have worked."""
        self._dropped: list[Candidate] = []
        self._exchange = exchange
        self._ceiling = ceiling
        self._lacks: CapabilityMissing | None = None
        self._misfits: list[str] = []
        self._astray = False
        """Whether it does not go where a request like this goes when all is well."""
        self._said: list[str] = []
        """What was wrong with the targets so far, for the header that explains the route."""

    def best(self, now: float, *, first: bool) -> Candidate | None:
        """Return who is next: one with a free slot, else one where a slot is waited for.

        Who is left alone is told of a request's first try only.
        """
        full = None
        for candidate in tuple(self.left):
            if not candidate.condition.available(now):
                if first:
                    self.say(f"{candidate.model.provider} is left alone")
            elif self._fits(candidate):
                if not candidate.slots.full:
                    return candidate
                full = full or candidate
                self.say(f"{candidate.model.provider} is full")
        return self._hastened(now) or full

    def least_bad(self, now: float) -> Candidate | None:
        """Return a target that fails often rather than nothing: the last usable is never shut."""
        for candidate in tuple(self.left):
            if candidate.condition.better_than_nothing(now) and self._fits(candidate):
                return candidate
        return None

    def beside(self, first: Candidate, now: float) -> Candidate | None:
        """Return who may be asked while `first` still is."""
        for candidate in tuple(self.left):
            able = candidate is not first and candidate.condition.available(now)
            if able and self._fits(candidate) and self._affords(first, candidate):
                return candidate
        return None

    def drop(self, candidate: Candidate, why: str) -> None:
        """Do not ask it again."""
        self.say(f"{candidate.model.provider} {why}")
        self._leave_out(candidate)

    def skip(self, candidate: Candidate, reason: str, lacks: CapabilityMissing | None) -> None:
        """Do not ask it: the request is not for it."""
        self._lacks = self._lacks or (lacks and lacks.again())
        self._misfits.append(reason)
        # What it can cost depends on more than the request; all else is the same every time.
        self.say(f"{candidate.model.name} lacks {reason}", astray=reason == "cost")
        self._leave_out(candidate)

    def defer(self, candidate: Candidate, why: str) -> None:
        """Ask the others first."""
        self.say(f"{candidate.model.provider} {why}")
        if candidate in self.left:
            self.left.remove(candidate)
            self.left.append(candidate)

    def turn_to(self, candidates: Sequence[Candidate], refused: Candidate) -> None:
        """Go on with others, but those that were asked already."""
        asked = [each.condition for each in (*self._dropped, refused)]
        self.left = [each for each in candidates if each.condition not in asked]
        self.count = len(self.left)

    def say(self, what: str, *, astray: bool = True) -> None:
        """Have the route's header tell it; `astray` is what would not be so if all were well."""
        self._astray = self._astray or astray
        if what not in self._said:
            self._said.append(what)

    def routed(self, candidate: Candidate) -> Routed:
        """Return the note that says that the request goes there, and why."""
        if self._said:
            why = f"{NAME}: {', '.join(self._said)}"
            return candidate.routed(why, fallback=self._astray)
        return candidate.first

    def busy(self) -> Iterator[Condition]:
        """Yield the conditions of those that are well and only paused."""
        for each in self.left:
            if each.condition.breaker.closed and each.condition.key.closed:
                yield each.condition

    def free_in(self, now: float, told: float | None) -> float | None:
        """Return the seconds until the first of those may be asked that asked for a pause.

        Where none is paused any more it is what the last one `told`.
        """
        known = [each.condition for each in (*self.left, *self._dropped)]
        paused = [each.recovers_at(now) for each in known if each.paused_until > now]
        return min(paused) - now if paused else told

    def misfit(self) -> GatewayError | None:
        """Return what to tell when no target is for this request, None when some are."""
        if self.left or not self._misfits:
            return None
        return unfit(self._misfits, self._lacks)

    def down(self, now: float) -> AllProvidersDown:
        """Return what to tell when all are left alone."""
        return all_down([each.condition for each in self.left], now, ", ".join(self._said))

    def _hastened(self, now: float) -> Candidate | None:
        """Return a target that is let try earlier, since there is no room anywhere else."""
        for candidate in tuple(self.left):
            breaker = candidate.condition.breaker
            if breaker.closed or not self._fits(candidate):
                continue
            breaker.hasten()
            if candidate.condition.available(now):
                return candidate
        return None

    def _affords(self, first: Candidate, second: Candidate) -> bool:
        """Tell whether either may answer, and the other be paid for its input."""
        rest, request = self._rest(), self._exchange.request
        if rest is None:
            return True
        return all(
            one.most_cost(self._exchange, rest) + (wasted(other, request).micro_dollars or 0)
            <= rest
            for one, other in ((first, second), (second, first))
        )

    def _rest(self) -> int | None:
        """Return the micro-dollars that are left of the ceiling, None where there is none."""
        if self._ceiling is None:
            return None
        facts = gather(self._exchange.notes)  # what broke while it was gathered is paid for too
        spent = [facts.passed or facts.used, *facts.wasted, *self.lost]
        return self._ceiling - sum(each.micro_dollars or 0 for each in spent if each is not None)

    def _fits(self, candidate: Candidate) -> bool:
        reason = candidate.misfit(self._exchange, self._rest())
        if reason:
            self.skip(candidate, reason, None)
        return not reason

    def _leave_out(self, candidate: Candidate) -> None:
        self._dropped.append(candidate)
        if candidate in self.left:
            self.left.remove(candidate)
