"""The stage: a request's first target, and the walk along the others."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import GatewayError
from gateway.core.exchange import Exchange
from gateway.core.notes import Verdict
from gateway.core.reply import Reply
from gateway.core.stage import Next
from gateway.stages.failover.rules import NAME, Rules
from gateway.stages.failover.standing import standings
from gateway.stages.failover.targets import Targets
from gateway.stages.failover.walk import Walk


class Failover:
    """Sends a request to its targets one after the other until one answers."""

    def __init__(self, targets: Targets, rules: Rules) -> None:
        self._targets = targets
        self._rules = rules
        self._now = rules.clock.monotonic
        self._seconds = rules.seconds
        self._plain = rules.plain

    def standings(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Return in which order the targets stand at a time, for people."""
        return standings(self._rules.name, self._targets.groups(), now)

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Return the first answer. Raises the last target's GatewayError when there is none.

        A request that another such stage has sent to a target goes on: tries would multiply.
        """
        if exchange.route is not None and exchange.route.sent is not None:
            return await proceed(exchange)
        rules = self._rules
        now = self._now()
        group = self._targets.fixed or self._targets.of(exchange)
        budget, learning = group.budget, rules.learning
        if learning.suspects:
            self._refuse_poison(exchange, now)
        plain = self._plain and exchange.max_cost is None and not budget.low
        first = group.candidates[0] if plain and group.candidates else None
        if first is None or not first.ready(exchange, now):
            return await Walk(rules, exchange, proceed, group, now).run(now)
        # What follows is what `Walk` does at its first step, in fewer calls: nearly every request
        # comes this way, and no other.
        condition, deadline = first.condition, exchange.deadline
        if self._seconds is not None:
            latest = now + self._seconds
            if latest < deadline:  # noqa: PLR1730 - `min` costs four times as much
                deadline = latest
        route = first.kept if condition.usual == first.kept_usual else None
        aimed = (
            first.aim_first(exchange, deadline, budget.deposit)
            if route is None
            else replace(exchange, route=route, deadline=deadline)
        )
        exchange.notes.add(first.first)
        condition.outstanding += 1
        try:
            reply = await proceed(aimed)
        except GatewayError as error:
            walk = Walk(rules, exchange, proceed, group, now)
            walk.heed(first, error, None, 0)
            return await walk.run(self._now())
        except BaseException:
            learning.interrupted(condition, exchange, None, deadline)
            raise
        learning.answered(condition, exchange, reply, None)
        return reply

    def _refuse_poison(self, exchange: Exchange, now: float) -> None:
        """Raise the last error of a request that failed wherever it went."""
        poison = self._rules.learning.poison(exchange, now)
        if poison is not None:
            exchange.notes.add(Verdict(NAME, "quarantined"))
            raise poison
