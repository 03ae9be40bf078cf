"""Whether a refitted model may take the place of the one that decides now."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gateway.stages.complexity_router.audit.bootstrap import Interval, chance_of_none, interval

FEWEST: Final = 100
"""New pairs below which no refit is looked at."""
SURE: Final = 0.05


class Promotion(Struct, frozen=True):
    """Whether the refitted model is promoted, and why, or why not."""

    promoted: bool
    reason: str
    chance: float | None = None
    """The p of a gain that is none, by the paired bootstrap; None where nothing was tested."""
    gain: Interval | None = None


def promotion(refitted: Sequence[float], current: Sequence[float]) -> Promotion:
    """Compare what two models made of the same new pairs, each judged on pairs it did not see.

    A value is what the tier that the model chose achieved for a request, less what it cost, by any
    measure that is the same for both. Raises ValueError when they do not pair up.
    """
    differences = [new - old for new, old in zip(refitted, current, strict=True)]
    count = len(differences)
    if count < FEWEST:
        return Promotion(False, f"{count} new pairs, {FEWEST} are needed")
    gain, chance = interval(differences), chance_of_none(differences)
    sure = chance < SURE
    told = "below" if sure else "not below"
    return Promotion(sure, f"p {chance:.4f} of no gain, {told} {SURE}", chance, gain)
