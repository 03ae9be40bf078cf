"""What all walks of one stage share."""

from collections.abc import Mapping
from random import Random
from typing import Final

from msgspec import Struct

from gateway.core.exchange import Exchange
from gateway.core.ports import Clock
from gateway.stages.failover.hedge import Hedging
from gateway.stages.failover.learning import Learning
from gateway.stages.failover.strategies import Order, Strategy
from gateway.stages.failover.targets import Targets

NAME: Final = "failover"


class Rules(Struct, frozen=True, kw_only=True):
    """The policy's word, and what it takes to follow it.

    `name` is the strategy's, `seconds` bounds the whole chain, `max_cost` is in micro-dollars and
    `fallbacks` are for what `core.refusal` may return.
    """

    clock: Clock
    random: Random
    learning: Learning
    order: Order
    name: Strategy = "ordered"
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

    def ceiling(self, exchange: Exchange) -> int | None:
        """Return micro-dollars that the whole chain may cost, None for any."""
        allowed = [each for each in (exchange.max_cost, self.max_cost) if each is not None]
        return min(allowed, default=None)
