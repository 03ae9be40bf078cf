"""How many requests a target may have at once, learned from how long it takes. Pure.

In the manner of Netflix' concurrency-limits (Gradient2Limit, VegasLimit) and Envoy's adaptive
concurrency: the time that an answer takes now is compared with the time it takes when nothing is
in its way. Three things differ, since these are language models.

- **What is measured** is the time to the first token, not the whole time, which depends on the
  length of the answer. A queue at the provider shows there in full. A provider that slows down
  for all shows in the gap between tokens, which is added for an answer of usual length. Whole
  answers show neither; they are compared with those of like length only (`shape`).
- **The new limit is each sample's own in-flight count over its stretch**, not the present limit:
  by Little's law a request that was one of n and took s times as long found n / s being served.
  So a sample that began long before the last change still tells the truth.
- **A cut must help.** Where fewer requests take as long as before, the provider is slow for a
  reason of its own: the limit comes back, and the slower time is the usual one from then on.
"""

from collections import deque
from collections.abc import Hashable
from math import inf
from statistics import median
from typing import Final

START: Final = 100
"""Generous: a healthy provider is seldom sent more out of nowhere. It doubles a round trip."""
LEAST: Final = 4
HORIZON: Final = 300.0
"""Seconds after which the least time of a target is forgotten."""
TOLERANCE: Final = 1.1
"""So much longer than usual is still as usual."""
_BLOCK: Final = 8
_WINDOW: Final = 16
_MOST_OF_IT: Final = 13
"""Of a window: by chance alone so many are above their median once in a hundred windows."""
_REFUSALS: Final = 2
_AFTER_REFUSALS: Final = 0.7
_GROWTH: Final = 16
_FEWER: Final = 0.8
_AS_SLOW: Final = 0.9
_SMOOTH: Final = 1 / 16


class Usual:
    """The least median of any `_BLOCK` samples in a row within HORIZON; 0 until there is one."""

    __slots__ = ("_block", "_least", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._block: list[float] = []
        self._least: deque[tuple[float, float]] = deque()

    def add(self, now: float, seconds: float) -> None:
        """Take in one more."""
        self._block.append(seconds)
        if len(self._block) < _BLOCK:
            return
        middle, least = median(self._block), self._least
        self._block.clear()
        while least and least[-1][1] >= middle:
            least.pop()
        least.append((now, middle))
        while least[0][0] < now - HORIZON:
            least.popleft()
        self.seconds = least[0][1]


class _Sample:
    """One request: how much longer than usual it took, among how many, and when it began."""

    __slots__ = ("among", "began", "stretch")

    def __init__(self, stretch: float, among: int, began: float) -> None:
        self.stretch = stretch
        self.among = among
        self.began = began


class AdaptiveLimit:
    """A limit of at most `most` that follows what the target can take. Times are clock seconds."""

    def __init__(self, most: int) -> None:
        self.limit = min(START, most)
        self._most = most
        self._least = min(LEAST, most)
        self._doubling = True
        self._changed = -inf
        self._window: list[_Sample] = []
        self._helped: tuple[float, float, int] | None = None
        self._forget()

    @property
    def begins(self) -> float:
        """Seconds to a stream's first token when nothing is in its way; 0 while unknown."""
        return self._first.seconds

    def began(self, now: float, sent: float, among: int) -> None:
        """Take in a stream's first token. It was sent as one of `among` in flight."""
        seconds, usual, gap = now - sent, self._first.seconds, self._usual_gap.seconds
        self._first.add(now, seconds)
        if usual > 0:
            stretch = (seconds + self._gap * self._blocks) / (usual + gap * self._blocks)
            self._add(now, _Sample(stretch, among, sent))

    def streamed(self, now: float, seconds: float, blocks: int) -> None:
        """Take in how long the rest of a stream was waited for, and its blocks behind the first."""
        if blocks < 1:
            return
        gap = seconds / blocks
        self._usual_gap.add(now, gap)
        usual = self._usual_gap.seconds
        if usual > 0:
            self._gap += (gap - (self._gap or usual)) * _SMOOTH if self._gap else usual
            self._blocks += (blocks - self._blocks) * _SMOOTH

    def answered(self, now: float, sent: float, among: int, shape: Hashable) -> None:
        """Take in a whole answer; `shape` is alike for answers that take about as long."""
        whole = self._wholes.setdefault(shape, Usual())
        usual, seconds = whole.seconds, now - sent
        whole.add(now, seconds)
        if usual > 0:
            self._add(now, _Sample(seconds / usual, among, sent))

    def refused(self, now: float, sent: float, among: int) -> None:
        """Take in that the target said "too much" (429, 503, 529) or did not answer in time."""
        if sent >= self._changed:
            self._add(now, _Sample(inf, among, sent))

    def _forget(self) -> None:
        self._first, self._usual_gap = Usual(), Usual()
        self._wholes: dict[Hashable, Usual] = {}
        self._gap = self._blocks = 0.0

    def _add(self, now: float, sample: _Sample) -> None:
        self._window.append(sample)
        if len(self._window) == _WINDOW:
            window, self._window = self._window, []
            self._decide(now, window)

    def _decide(self, now: float, window: list[_Sample]) -> None:
        most = max(sample.among for sample in window)
        slow = [sample for sample in window if sample.stretch > TOLERANCE]
        refusals = sum(sample.stretch == inf for sample in slow)
        if refusals >= _REFUSALS:
            self._set(now, min(self.limit, most) * _AFTER_REFUSALS)
            self._doubling = False
        elif len(slow) >= _MOST_OF_IT:
            self._slower(now, min(self.limit, most), slow)
        else:
            self._helped = None
            in_use = most * 2 >= self.limit
            if in_use and all(sample.began >= self._changed for sample in window):
                step = self.limit if self._doubling else max(1, self.limit // _GROWTH)
                self._set(now, self.limit + step)

    def _slower(self, now: float, used: int, slow: list[_Sample]) -> None:
        """Cut to what was being served, or see that the last cut was no help."""
        among = median(sample.among for sample in slow)
        stretch = median(sample.stretch for sample in slow)
        last = self._helped
        if last is not None and among <= last[0] * _FEWER and stretch >= last[1] * _AS_SLOW:
            self._helped = None
            self._forget()
            self._set(now, last[2])
            return
        if last is None:
            self._helped = among, stretch, self.limit
        served = median(sample.among / sample.stretch for sample in slow)
        self._doubling = False
        self._set(now, min(self.limit, max(used / 2, served)))

    def _set(self, now: float, limit: float) -> None:
        limit = max(self._least, min(self._most, round(limit)))
        if limit != self.limit:
            self.limit = limit
            self._changed = now
