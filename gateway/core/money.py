"""Tokens to money, in whole micro-dollars so that sums are exact."""

from gateway.core.catalogue import Price
from gateway.core.reply import Usage

_PARTS = 1_000_000


def cost(usage: Usage, price: Price) -> int:
    """Return micro-dollars, rounded half up; exact for prices of up to six decimals.

    A price is dollars per million tokens, which is micro-dollars per token. Cached and cache-write
    tokens are part of `usage.input` and are charged at their own price.
    """
    cached = price.input if price.cached is None else price.cached
    write = price.input if price.cache_write is None else price.cache_write
    plain = max(0, usage.input - usage.cached - usage.cache_write)
    total = (
        plain * _parts(price.input)
        + usage.cached * _parts(cached)
        + usage.cache_write * _parts(write)
        + usage.output * _parts(price.output)
    )
    return (total + _PARTS // 2) // _PARTS


def _parts(price: float) -> int:
    """Return millionths of a micro-dollar a token: whole numbers do not lose halves."""
    return round(price * _PARTS)
