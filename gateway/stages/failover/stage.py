"""The stage: a request's first target, and the walk along the others."""

from gateway.core.exchange import Exchange
from gateway.core.notes import Verdict
from gateway.core.reply import Reply
from gateway.core.stage import Next
from gateway.stages.failover.targets import Targets
from gateway.stages.failover.walk import NAME, Rules, Walk


class Failover:
    """Sends a request to its targets one after the other until one answers."""

    def __init__(self, targets: Targets, rules: Rules) -> None:
        self._targets = targets
        self._rules = rules

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Return the first answer. Raises the last target's GatewayError when there is none."""
        rules = self._rules
        now = rules.clock.monotonic()
        group = self._targets.of(exchange)
        group.budget.deposit(now)
        poison = rules.learning.poison(exchange, now)
        if poison is not None:
            exchange.notes.add(Verdict(NAME, "quarantined"))
            raise poison
        return await Walk(rules, exchange, proceed, group).run(now)
