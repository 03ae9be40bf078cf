"""Where one tier ends and the next begins, and how fast that may move."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core import wire
from gateway.stages.complexity_router.calibration.sketch import BINS, Sketch

START: Final = 200
"""Scores that are needed before anything is decided by them."""
FASTEST: Final = 0.02
"""The share of requests by which a threshold moves in any hour, at most."""
STEP: Final = 60.0
"""Seconds between two moves, and the most time that one move makes up for."""
_HOUR: Final = 3_600.0
# An hour may hold one move more than its minutes: with it too it stays within FASTEST.
_A_MOVE: Final = FASTEST * STEP / (_HOUR + STEP)

Place = Annotated[float, Meta(ge=0, le=BINS)]


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Places of a Sketch, ascending, one between each tier and the next. `at` is when they moved.

    `at` is in epoch seconds, by the store's clock.
    """

    at: float
    places: tuple[Place, ...]

    def tier(self, place: float) -> int:
        """Return the tier of a place, 0 for the lowest."""
        return bisect_right(self.places, place)

    def shares(self, sketch: Sketch) -> tuple[float, ...]:
        """Return the share of each tier, were its traffic as in a sketch."""
        ends = [0.0, *map(sketch.below, self.places), 1.0]
        return tuple(high - low for low, high in pairwise(ends))


_decoder: Final = wire.decoder(Thresholds)


def encoded(thresholds: Thresholds) -> str:
    """Return what `decoded` reads."""
    return wire.encode(thresholds).decode()


def decoded(text: str, tiers: int) -> Thresholds | None:
    """Return the thresholds of so many tiers, None when this is not what it says."""
    try:
        found = _decoder.decode(text)
    except ValueError:
        return None
    ascending = all(low <= high for low, high in pairwise(found.places))
    return found if ascending and len(found.places) == tiers - 1 else None


def moved(
    current: Thresholds | None, sketch: Sketch, shares: Sequence[float], now: float
) -> Thresholds | None:
    """Return the thresholds that come next, the same ones while there is nothing to move.

    The first ones give each tier its share of the sketch at once; None while it holds fewer than
    START scores. Later ones go towards that, by no more than a minute's part of FASTEST a minute.
    """
    if sketch.total < START:
        return current
    ends = [min(1.0, end) for end in accumulate(shares)][:-1]
    if current is None:
        return Thresholds(now, tuple(map(sketch.place, ends)))
    if now - current.at < STEP:
        return current
    places = tuple(
        _nearer(place, sketch, end) for place, end in zip(current.places, ends, strict=True)
    )
    return current if places == current.places else replace(current, at=now, places=places)


def _nearer(place: float, sketch: Sketch, end: float) -> float:
    below = sketch.below(place)
    gap = end - below
    if abs(gap) <= _A_MOVE:
        return sketch.place(end) if gap else place
    return sketch.place(below + (_A_MOVE if gap > 0 else -_A_MOVE))
