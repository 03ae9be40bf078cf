"""What a request costs at each tier: tokens that were seen there, at the tier's price."""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.core.catalogue import Price
from gateway.core.tallies import Tallies

LIKE: Final = 20
"""As many requests of all tiers stand in for those that a tier has not had yet."""
ALL: Final = 1 << 50
"""So many counts are never reached: all that is kept is asked for."""
_KINDS: Final = 3


def count(tallies: Tallies, name: str, tier: int, tokens_in: int, tokens_out: int) -> None:
    """Count what one request used at a tier."""
    for kind, amount in enumerate((1, tokens_in, tokens_out)):
        if amount > 0:
            tallies.add(name, tier * _KINDS + kind, amount)


def dollars(seen: Mapping[int, int], prices: Sequence[Price]) -> Sequence[float] | None:
    """Return what a request costs at each tier; None before the first one was seen.

    A dearer tier gets the harder requests, whose answers are longer, so each goes by its own. What
    a provider's cache of prompts saves is left out: a tier that was changed to has none.
    """
    tiers = range(len(prices))
    counts = [[seen.get(tier * _KINDS + kind, 0) for kind in range(_KINDS)] for tier in tiers]
    requests, tokens_in, tokens_out = (sum(column) for column in zip(*counts, strict=True))
    if not requests:
        return None
    usual = (tokens_in / requests, tokens_out / requests)
    found = []
    for (own, *tokens), price in zip(counts, prices, strict=True):
        size_in, size_out = (
            (used + LIKE * each) / (own + LIKE) for used, each in zip(tokens, usual, strict=True)
        )
        found.append((size_in * price.input + size_out * price.output) / 1_000_000)
    return found
