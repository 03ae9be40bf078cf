"""What share of a source's prompts goes up after so many of them were seen, without labels."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.stages.complexity_router.calibration.sketch import Sketch, bin_of
from gateway.stages.complexity_router.calibration.thresholds import START, moved

TARGET: Final = 0.3
DRAWS: Final = 50
FEWEST: Final = 400
"""Rows of a source that is looked at."""
MEAN_WITHIN: Final = 0.02
DRAW_WITHIN: Final = 0.06
MOST_WITHIN: Final = 0.85

Score = Callable[[str], float]


class Row(Struct):
    """What is read of a row."""

    source: str
    prompt: str


class Found(Struct, frozen=True):
    """The realised share of one source by draw, among all of its prompts and among the unseen."""

    source: str
    rows: int
    distinct: int
    """Bins that its scores fall into."""
    whole: Sequence[float]
    unseen: Sequence[float]

    @property
    def kept(self) -> bool:
        """Whether the whole source's shares are what was promised."""
        return _off(self.whole) <= MEAN_WITHIN and _within(self.whole) >= MOST_WITHIN


def read(path: Path) -> Mapping[str, Sequence[str]]:
    """Return the prompts of each source that has enough of them."""
    decoder, prompts = wire.decoder(Row), dict[str, list[str]]()
    with path.open("rb") as lines:
        for line in lines:
            row = decoder.decode(line)
            prompts.setdefault(row.source, []).append(row.prompt)
    return {source: each for source, each in prompts.items() if len(each) >= FEWEST}


def measure(source: str, prompts: Sequence[str], score: Score, seed: int = 1) -> Found:
    """Calibrate on START prompts and let the thresholds decide all of them, DRAWS times."""
    chance = Random(f"{source} {seed}")
    bins = [bin_of(score(prompt)) for prompt in prompts]
    whole, unseen = [], []
    for _ in range(DRAWS):
        chance.shuffle(bins)
        thresholds = moved(None, Sketch(Counter(bins[:START])), (1 - TARGET, TARGET), 0.0)
        if thresholds is None:
            raise ValueError(f"{source} has fewer than {START} prompts")
        up = [thresholds.tier(number + chance.random()) for number in bins]
        whole.append(fmean(up))
        unseen.append(fmean(up[START:]))
    return Found(source, len(prompts), len(set(bins)), whole, unseen)


def report(found: Sequence[Found]) -> Iterator[str]:
    """Yield the table, and whether every source keeps to what was promised."""
    yield f"Target {TARGET:.0%} up, {START} prompts seen without labels, {DRAWS} draws."
    heads = ("source", "rows", "bins", "mean", "within 6", "least", "most", "unseen mean", "within")
    yield "{:18} {:>6} {:>5} {:>7} {:>9} {:>7} {:>7} {:>12} {:>7}".format(*heads)
    for each in found:
        yield (
            f"{each.source:18} {each.rows:6,} {each.distinct:5} {fmean(each.whole):7.1%} "
            f"{_within(each.whole):9.0%} {min(each.whole):7.1%} {max(each.whole):7.1%} "
            f"{fmean(each.unseen):12.1%} {_within(each.unseen):7.0%}"
        )
    good = sum(each.kept for each in found)
    yield (
        f"{good} of {len(found)} sources: mean within {100 * MEAN_WITHIN:.0f} points, "
        f"{MOST_WITHIN:.0%} of draws within {100 * DRAW_WITHIN:.0f}"
    )


def _off(shares: Sequence[float]) -> float:
    return abs(fmean(shares) - TARGET)


def _within(shares: Sequence[float]) -> float:
    return fmean(abs(share - TARGET) <= DRAW_WITHIN for share in shares)
