"""What the operator wants of the tiers, and the shares of requests that come of it."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import comb, isclose, sqrt
from random import Random
from typing import Annotated, Final, NamedTuple, TypeAlias

from msgspec import Meta, Struct

FEWEST: Final = 100
"""Requests with outcomes of every tier, below which a quality says nothing."""
_STEPS: Final = 200
"""Mixtures that are looked at, from all at the lowest tier to all at the highest."""
_ONE_SIDED: Final = 1.645
"""Standard errors of a 95 % bound."""

Share = Annotated[float, Meta(ge=0, le=1)]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """What the thresholds between tiers are calibrated to: exactly one of these."""

    shares: Annotated[
        tuple[Share, ...] | None,
        Meta(description="The share of requests for each tier, lowest first; together 1."),
    ] = None
    cost_per_1k: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Dollars that a thousand requests may cost, by tokens and prices."),
    ] = None
    min_quality: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="Part of the highest tier's quality to keep; needs pairs of outcomes."),
    ] = None

    def check(self, tiers: int) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what the types cannot say: where in this block, and what."""
        named = [self.shares, self.cost_per_1k, self.min_quality]
        if sum(each is not None for each in named) != 1:
            yield (), "say exactly one of `shares`, `cost_per_1k` and `min_quality`."
        if self.shares is not None and len(self.shares) != tiers:
            yield ("shares",), f"there are {tiers} tiers, so {tiers} shares are needed."
        elif self.shares is not None and not isclose(sum(self.shares), 1, abs_tol=1e-6):
            yield ("shares",), f"the shares add up to {sum(self.shares):g}, not to 1."


class Wanted(NamedTuple):
    """The share of each tier, and why these; None while there is nothing to go by."""

    shares: Sequence[float] | None
    reason: str


class Judged(Struct, frozen=True):
    """A request that every tier answered: its score, and how well each did, lowest tier first."""

    score: float
    outcomes: tuple[float, ...]


def for_cost(target: float, dollars: Sequence[float] | None) -> Wanted:
    """Return the dearest mixture that costs no more than `target` dollars for 1,000 requests.

    `dollars` is what one request costs at each tier, None while nobody knows.
    """
    if dollars is None:
        return Wanted(None, "cost_per_1k: no request of any tier was counted yet")
    tiers = len(dollars)
    for step in range(_STEPS, -1, -1):
        shares = mixture(step / _STEPS, tiers)
        cost = 1000 * sum(share * each for share, each in zip(shares, dollars, strict=True))
        if cost <= target:
            return Wanted(shares, f"${cost:.2f} for 1,000 requests")
    lowest = 1000 * dollars[0]
    return Wanted(
        mixture(0, tiers), f"cost_per_1k cannot be met: the lowest tier costs ${lowest:.2f}"
    )


def for_quality(target: float, judged: Sequence[Judged], tiers: int) -> Wanted:
    """Return the cheapest mixture that keeps that part of the highest tier's quality.

    It has to be kept with 95 % confidence, on requests with outcomes of every tier, of which the
    hardest go to the highest tier. Without enough of them there is no answer.
    """
    if len(judged) < FEWEST:
        return Wanted(
            None,
            f"min_quality needs {FEWEST} requests with outcomes of all tiers, there are "
            f"{len(judged)}: see `turnout router audit`",
        )
    rows = list(judged)
    Random(len(rows)).shuffle(rows)  # noqa: S311 - equal scores in no order, the same each time
    sums = _sums(sorted(rows, key=lambda each: each.score), target, tiers)
    for step in range(_STEPS + 1):
        shares = mixture(step / _STEPS, tiers)
        if _bound(sums, shares) >= 0:
            return Wanted(shares, f"keeps {target:.1%} by {len(judged)} requests of all tiers")
    return Wanted(mixture(1, tiers), "min_quality cannot be proven: all at the highest tier")


def mixture(amount: float, tiers: int) -> tuple[float, ...]:
    """Return shares that go from all at the lowest tier, at 0, to all at the highest, at 1.

    One number has to become as many shares as there are tiers: each of the steps up from the
    lowest is taken with the same chance, so a higher amount never makes a mixture cheaper.
    """
    ups = tiers - 1
    return tuple(comb(ups, k) * amount**k * (1 - amount) ** (ups - k) for k in range(tiers))


def without(shares: Sequence[float], skipped: Sequence[int]) -> tuple[float, ...]:
    """Return the shares when some tiers are skipped: the next lower one that is not has theirs.

    The lowest is never skipped.
    """
    left = list(shares)
    for tier in range(len(left) - 1, 0, -1):
        if tier in skipped:
            left[tier - 1] += left[tier]
            left[tier] = 0.0
    return tuple(left)


_Sums: TypeAlias = Sequence[tuple[Sequence[float], Sequence[float]]]


def _sums(rows: Sequence[Judged], target: float, tiers: int) -> _Sums:
    """Return, by tier, sums up to each row of what outcomes are above the target, and of squares.

    Once for all mixtures: each takes a stretch of rows from every tier.
    """
    found = []
    for tier in range(tiers):
        above = [row.outcomes[tier] - target * row.outcomes[-1] for row in rows]
        squares = accumulate((each * each for each in above), initial=0.0)
        found.append((tuple(accumulate(above, initial=0.0)), tuple(squares)))
    return found


def _bound(sums: _Sums, shares: Sequence[float]) -> float:
    """Return what the mean lies above with 95 % confidence, when tiers get these shares of rows."""
    count = len(sums[0][0]) - 1
    ends = [0, *(round(min(1.0, end) * count) for end in accumulate(shares))]
    total = squares = 0.0
    for (above, squared), (start, end) in zip(sums, pairwise(ends), strict=True):
        total += above[end] - above[start]
        squares += squared[end] - squared[start]
    mean = total / count
    return mean - _ONE_SIDED * sqrt(max(0.0, squares / count - mean * mean) / count)
