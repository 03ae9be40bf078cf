"""Tokens to money, in whole micro-dollars so that sums are exact."""

from functools import lru_cache
from typing import TypeAlias

from gateway.core.catalogue import Price
from gateway.core.reply import Usage

_PARTS = 1_000_000

Rates: TypeAlias = tuple[int, int]
"""Input and output price in millionths of a micro-dollar a token."""


def cost(usage: Usage, price: Price) -> int:
    """Return micro-dollars, rounded half up; exact for prices of up to six decimals.

    A price is dollars per million tokens, which is micro-dollars per token. Cached and cache-write
    tokens are part of `usage.input` and are charged at their own price.
    """
    plain, cached, write, output, write_1h = _rates(price)
    total = (
        max(0, usage.input - usage.cached - usage.cache_write) * plain
        + usage.cached * cached
        + usage.cache_write * write
        + usage.cache_write_1h * (write_1h - write)
        + usage.output * output
    )
    return (total + _PARTS // 2) // _PARTS


def dearest(price: Price) -> Rates:
    """Return the most that a token of input, cached or not, and of output can cost."""
    plain, cached, write, output, write_1h = _rates(price)
    return max(plain, cached, write, write_1h), output


def at_most(rates: Rates, tokens_in: int, tokens_out: int) -> int:
    """Return micro-dollars at these rates, rounded up."""
    return -(-(tokens_in * rates[0] + tokens_out * rates[1]) // _PARTS)


def in_words(micro_dollars: int) -> str:
    """Return an amount as people write it, exact to the micro-dollar: `$5`, `$0.000085`."""
    whole, part = divmod(micro_dollars, _PARTS)
    return f"${whole}.{part:06}".rstrip("0").rstrip(".")


@lru_cache(maxsize=1024)  # a catalogue holds no more, and a request has one price
def _rates(price: Price) -> tuple[int, int, int, int, int]:
    """Return input, cached, cache-write, output and 1h write prices, the defaults filled in."""
    cached = price.input if price.cached is None else price.cached
    write = price.input if price.cache_write is None else price.cache_write
    hour = write if price.cache_write_1h is None else price.cache_write_1h
    return (
        _parts(price.input),
        _parts(cached),
        _parts(write),
        _parts(price.output),
        _parts(hour),
    )


def _parts(price: float) -> int:
    """Return millionths of a micro-dollar a token: whole numbers do not lose halves."""
    return round(price * _PARTS)
