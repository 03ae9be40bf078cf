"""How many gateways do it: up to three tries in turn, whatever happened before."""

from gateway.core.catalogue import Target
from gateway.core.errors import GatewayError, Retry
from gateway.core.exchange import Exchange, Route
from gateway.core.ports import Tools
from gateway.core.reply import Reply
from gateway.core.stage import Next


class Naive:
    """No budget, no breaker, no pause: for comparison."""

    def __init__(self, tools: Tools, attempts: int) -> None:
        self._targets = [Target(model, chosen=True) for model in tools.catalogue.models.values()]
        self._attempts = attempts

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Return the first answer. Raises GatewayError after the last try."""
        for attempt in range(self._attempts):
            target = self._targets[attempt % len(self._targets)]
            try:
                return await proceed(exchange.with_route(Route((target,), "naive")))
            except GatewayError as error:
                if error.retry is Retry.NEVER or attempt == self._attempts - 1:
                    raise
        raise AssertionError("attempts is at least 1")
