"""How many requests a target may have at once, learned from how long it takes. Pure.

In the manner of Netflix' concurrency-limits (Gradient2Limit, VegasLimit) and Envoy's adaptive
concurrency: the time that an answer takes now is compared with the time that is usual when
nothing is in its way. Four things differ, since these are language models.

- **What is measured** is the time to the first token, not the whole time, which depends on the
  length of the answer. A queue at the provider shows there in full. A provider that slows down
  for all shows in the gap between tokens, which is added for an answer of usual length. Whole
  answers show neither; they are compared with those of like length only (`shape`).
- **The new limit is the in-flight count of the samples over their stretch**, not the present
  limit times a gradient: by Little's law a request that was one of n and took s times as long
  found n / s being served. So samples that began long before the last change tell the truth too.
- **Samples are judged in cohorts that were sent together**, since of a crowd the quick ones
  answer first; two cohorts in a row must be slow.
- **A cut must help.** Where fewer requests take as long as before, the provider is slow for a
  reason of its own: the limit comes back, and what is usual is learned anew.
"""

from collections.abc import Hashable, Iterable
from math import inf
from statistics import median
from typing import Final

START: Final = 100
"""Generous: a healthy provider is seldom sent more out of nowhere. It doubles a round trip."""
LEAST: Final = 4
TOLERANCE: Final = 1.1
"""So much longer than usual is still as usual."""
NOTICEABLE: Final = 0.1
"""Seconds: less than this is as usual too. It may as well be our own process that is busy."""
STREAM: Final = "stream"
_COHORT: Final = 16
_ENOUGH: Final = 14
"""Answers after which a cohort is judged: one that stalls must not hold it up."""
_NEARLY_ALL: Final = 0.8
"""Of a cohort; by chance alone so many are above their median once in a hundred cohorts."""
_REFUSED: Final = 0.1
_AFTER_REFUSALS: Final = 0.7
_BELOW: Final = 0.9
"""A cut goes a little below what was served, so that what is usual can be seen again."""
_GROWTH: Final = 10
_FEWER: Final = 0.8
_AS_SLOW: Final = 0.9
_FAR_BELOW: Final = 4
_BETWEEN: Final = 0.05
_RISE: Final = 1 / 16
_FALL: Final = 1 / 8
_SMOOTH: Final = 1 / 32
_SLOWLY: Final = 1 / 256
_LONGER: Final = 1.2
"""A gap between tokens counts from here: unlike first tokens, all of a cohort share its noise."""


class Sample:
    """One answer: how long it took (clock seconds) as one of `among` in flight, sent when."""

    __slots__ = ("among", "seconds", "sent", "shape")

    def __init__(self, shape: Hashable, seconds: float, among: int, sent: float) -> None:
        self.shape = shape
        self.seconds = seconds
        self.among = among
        self.sent = sent


class Cohort:
    """Requests that were sent one after another, judged as one."""

    __slots__ = ("closed", "members", "samples", "settled")

    def __init__(self) -> None:
        self.members = self.settled = 0
        self.samples: list[Sample] = []
        self.closed = False


class _Usual:
    """A running average that follows quicker downwards than upwards."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    def add(self, seconds: float, count: int) -> None:
        """Take in the median of so many samples."""
        self.count += count
        rate = (_FALL if seconds < self.seconds else _RISE) * count / _COHORT
        self.seconds += (seconds - self.seconds) * max(rate, count / self.count)


class AdaptiveLimit:
    """A limit of at most `most` that follows what the target can take. Times are clock seconds."""

    def __init__(self, most: int) -> None:
        self.limit = min(START, most)
        self._most = most
        self._least = min(LEAST, most)
        self._doubling = True
        self._looked = -inf
        self._changed = -inf
        self._slow = 0
        self._cut: tuple[float, float, int] | None = None
        self._cohort = Cohort()
        self._forget()

    @property
    def begins(self) -> float:
        """Seconds to a stream's first token when nothing is in its way; 0 while unknown."""
        usual = self._usual.get(STREAM)
        return usual.seconds if usual else 0.0

    def send(self, now: float, among: int) -> Cohort | None:
        """Return the cohort of a request that is sent now; `settle` it exactly once.

        None: this one is not looked at. Far below the limit 20 a second are enough, once
        something is usual.
        """
        if among * _FAR_BELOW < self.limit and now - self._looked < _BETWEEN and self._usual:
            return None
        self._looked = now
        cohort = self._cohort
        cohort.members += 1
        if cohort.members == _COHORT:
            self._cohort = Cohort()
        return cohort

    def settle(self, now: float, cohort: Cohort, sample: Sample | None) -> None:
        """Take in what became of a request; None says nothing about its target.

        `seconds` is infinite for one that was told "too much" or got no answer in time. `shape`
        is STREAM where they are those to the first token; else alike for answers of like length.
        """
        cohort.settled += 1
        if sample is not None:
            cohort.samples.append(sample)
        if cohort.settled >= _ENOUGH and cohort.members == _COHORT and not cohort.closed:
            cohort.closed = True
            if cohort.samples:
                self._judge(now, cohort.samples)

    def streamed(self, seconds: float, blocks: int) -> None:
        """Take in how long the rest of a stream was waited for, and its blocks behind the first."""
        if blocks > 0:
            gap, rate = seconds / blocks, max(_SMOOTH, 1 / (self._gaps + 1))
            self._gap += (gap - self._gap) * rate
            self._blocks += (blocks - self._blocks) * rate
            self._gaps += 1
            if not self._slow:
                self._usual_gap += (gap - self._usual_gap) * max(_SLOWLY, 1 / self._gaps)

    def _forget(self) -> None:
        self._usual: dict[Hashable, _Usual] = {}
        self._gap = self._usual_gap = self._blocks = 0.0
        self._gaps = 0

    def _stretch(self, sample: Sample) -> float:
        """Return how many times as long as usual it took; 1 where nothing is usual yet."""
        usual = self._usual.get(sample.shape)
        if usual is None or sample.seconds == inf:
            return 1.0 if usual is None and sample.seconds < inf else inf
        expected, took = usual.seconds, sample.seconds
        if sample.shape is STREAM:
            longer = self._gap > self._usual_gap * _LONGER
            expected += self._usual_gap * self._blocks
            took += (self._gap if longer else self._usual_gap) * self._blocks
        return took / expected if took - expected > NOTICEABLE else 1.0

    def _judge(self, now: float, samples: list[Sample]) -> None:
        stretches = [self._stretch(sample) for sample in samples]
        refused = sum(stretch == inf for stretch in stretches)
        if refused > _REFUSED * len(samples):
            if samples[0].sent >= self._changed:
                self._doubling = False
                most = max(sample.among for sample in samples)
                self._set(now, min(self.limit, most) * _AFTER_REFUSALS)
        elif sum(s > TOLERANCE for s in stretches) >= _NEARLY_ALL * len(samples):
            self._slow += 1
            if self._slow > 1:
                among = median(sample.among for sample in samples)
                self._slower(now, among, median(stretches))
        else:
            self._slow = 0
            self._cut = None
            self._learn(samples)
            self._grow(now, samples)

    def _learn(self, samples: Iterable[Sample]) -> None:
        shapes: dict[Hashable, list[float]] = {}
        for sample in samples:
            if sample.seconds < inf:
                shapes.setdefault(sample.shape, []).append(sample.seconds)
        for shape, seconds in shapes.items():
            self._usual.setdefault(shape, _Usual()).add(median(seconds), len(seconds))

    def _grow(self, now: float, samples: list[Sample]) -> None:
        """Allow more once a round trip, where what is allowed is in use."""
        in_use = max(sample.among for sample in samples) * 2 >= self.limit
        if in_use and min(sample.sent for sample in samples) >= self._changed:
            step = self.limit if self._doubling else max(2, self.limit // _GROWTH)
            self._set(now, self.limit + step)

    def _slower(self, now: float, among: float, stretch: float) -> None:
        """Cut to what was being served, or see that fewer are no help."""
        last = self._cut
        helpless = last and among <= last[0] * _FEWER and stretch >= last[1] * _AS_SLOW
        if helpless or among <= self._least:
            self._cut, self._slow = None, 0
            self._forget()
            self._set(now, last[2] if last else self.limit)
            return
        self._doubling = False
        self._cut = last or (among, stretch, self.limit)
        self._set(now, min(self.limit, max(among / 2, among / stretch * _BELOW)))

    def _set(self, now: float, limit: float) -> None:
        limit = max(self._least, min(self._most, round(limit)))
        if limit != self.limit:
            self.limit = limit
            self._changed = now
