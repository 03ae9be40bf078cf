"""A route's thresholds, kept by what all processes see of its traffic."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from random import Random
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.core.catalogue import Price
from gateway.core.tallies import Agreed, Tallies
from gateway.stages.complexity_router.calibration import spending, targets
from gateway.stages.complexity_router.calibration.guard import Drift, Guard
from gateway.stages.complexity_router.calibration.sketch import BINS, Sketch, bin_of
from gateway.stages.complexity_router.calibration.targets import Judged, Target, Wanted
from gateway.stages.complexity_router.calibration.thresholds import (
    START,
    Thresholds,
    decoded,
    encoded,
    moved,
)

ENOUGH: Final = 2_000
"""Scores, the newest ones, that thresholds go by: their quantiles are known to a point or so."""


class Route(Struct, frozen=True):
    """What is calibrated. Prices are by tier, lowest tier first."""

    name: str
    score: str
    """Which score it is, as the model's version tells: scores of two models never mix."""
    target: Target
    prices: Sequence[Price]
    span: tuple[float, float] = (0.0, 1.0)
    """What nearly all scores lie between; those beyond are not told apart from its ends."""
    judged: Sequence[Judged] = ()
    """Requests with outcomes of every tier, which `min_quality` goes by."""


class Placed(Struct, frozen=True):
    """What a score says: the tier, or None while the rules have to say, and why."""

    tier: int | None
    reason: str
    below: float | None = None
    """The share of recent scores that lie below this one."""
    drift: Drift | None = None
    """News of shares that left what is wanted, or returned."""


class Calibrator:
    """One route's. `now` is the store's time in epoch seconds.

    Thresholds are those that all processes agreed on; while the store is away they stay.
    """

    def __init__(
        self, route: Route, tallies: Tallies, now: Callable[[], float], chance: Random
    ) -> None:
        self._route = route
        self._tallies = tallies
        self._now = now
        self._chance = chance
        self._low, high = route.span
        self._width = high - self._low
        # What is counted in other bins is another histogram.
        kind = (BINS, route.span, route.score)
        self._scores = f"{route.name}/scores/{_digest(kind)}"
        self._spent = f"{route.name}/spent"
        # Whoever wants something else goes there at once, not at two points an hour.
        self._name = f"{route.name}/thresholds/{_digest((kind, route.target))}"
        self.guard = Guard(len(route.prices))
        self.wanted = Wanted(None, "")
        self.sketch = Sketch({})
        """Of the newest scores, as last seen."""
        self.thresholds: Thresholds | None = None
        self._seen: tuple[Mapping[int, int], Agreed] | None = None
        self._quality = self._least() if route.target.min_quality is not None else None
        tallies.sums(self._scores, ENOUGH)
        tallies.agreed(self._name)

    def place(self, score: float) -> Placed:
        """Count a score and say its tier. Raises ValueError for what is no number."""
        number = bin_of((score - self._low) / self._width)
        self._tallies.add(self._scores, number, 1)
        self._look()
        if self.thresholds is None or self.wanted.shares is None:
            return Placed(None, self._lack())
        place = number + self._chance.random()
        tier = self.thresholds.tier(place)
        drift = self.guard.observe(tier, self.wanted.shares)
        below = self.sketch.below(place) if self.sketch.total else None
        return Placed(tier, "calibrated", below, drift)

    def spent(self, tier: int, tokens_in: int, tokens_out: int) -> None:
        """Count what a request of a tier used."""
        spending.count(self._tallies, self._spent, tier, tokens_in, tokens_out)

    def _look(self) -> None:
        """Take over what is news, and propose where thresholds go next."""
        tallies = self._tallies
        seen = tallies.sums(self._scores, ENOUGH), tallies.agreed(self._name)
        if self._seen is not None and all(
            new is old for new, old in zip(seen, self._seen, strict=True)
        ):
            return
        self._seen, (cells, agreed) = seen, seen
        self.sketch = Sketch(cells)
        self.wanted = self._aim()
        self.thresholds = decoded(agreed.body, len(self._route.prices))
        if self.wanted.shares is None:
            return
        following = moved(self.thresholds, self.sketch, self.wanted.shares, self._now())
        if following is not None and following is not self.thresholds:
            tallies.propose(self._name, Agreed(agreed.version + 1, encoded(following)))

    def _aim(self) -> Wanted:
        target = self._route.target
        if target.shares is not None:
            return Wanted(target.shares, "shares")
        if target.cost_per_1k is None:
            return self._quality or self._least()
        seen = self._tallies.sums(self._spent, spending.ALL)
        return targets.for_cost(target.cost_per_1k, spending.dollars(seen, self._route.prices))

    def _least(self) -> Wanted:
        least = self._route.target.min_quality or 1.0
        return targets.for_quality(least, self._route.judged, len(self._route.prices))

    def _lack(self) -> str:
        if self.sketch.total < START:
            return f"rules: {self.sketch.total} of {START} prompts seen"
        return (
            f"rules: {self.wanted.reason}"
            if self.wanted.shares is None
            else "rules: no thresholds yet"
        )


def _digest(what: object) -> str:
    return sha256(wire.encode(what)).hexdigest()[:16]
