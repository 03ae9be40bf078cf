"""Tokens to money, in whole micro-dollars so that sums are exact."""

from gateway.core.catalogue import Price
from gateway.core.reply import Usage


def cost(usage: Usage, price: Price) -> int:
    """Return micro-dollars, rounded half up.

    A price is dollars per million tokens, which is micro-dollars per token. Cached and cache-write
    tokens are part of `usage.input` and are charged at their own price.
    """
    cached = price.input if price.cached is None else price.cached
    write = price.input if price.cache_write is None else price.cache_write
    plain = max(0, usage.input - usage.cached - usage.cache_write)
    total = (
        plain * price.input
        + usage.cached * cached
        + usage.cache_write * write
        + usage.output * price.output
    )
    return int(total + 0.5)
