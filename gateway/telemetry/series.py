"""Histograms and sums of requests that share an endpoint, a provider and a model."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from gateway.core.outcome import Facts, Outcome

SECONDS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    *(163.84, 327.68, 655.36),
)
FIRST_TOKEN: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0),
)
OVERHEAD: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
GAP: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
TOKENS: Final = tuple(4**power for power in range(14))


class Histogram:
    """Counts of values up to each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts as Prometheus wants them."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Series:
    """All numbers of one endpoint, provider and model."""

    __slots__ = (
        *("cached", "cache_write", "duration", "first", "gap", "micro_dollars", "overhead"),
        *("queue", "reasoning", "tokens_in", "tokens_out", "unpriced", "upstream"),
    )

    def __init__(self) -> None:
        self.duration = Histogram(SECONDS)
        self.upstream = Histogram(SECONDS)
        self.first = Histogram(FIRST_TOKEN)
        self.overhead = Histogram(OVERHEAD)
        self.queue = Histogram(SECONDS)
        self.gap = Histogram(GAP)
        self.tokens_in = Histogram(TOKENS)
        self.tokens_out = Histogram(TOKENS)
        self.cached = self.cache_write = self.reasoning = 0
        self.micro_dollars = self.unpriced = 0

    def measure(self, outcome: Outcome, facts: Facts) -> None:
        """Count a finished request."""
        total, waited, own = outcome.times()
        self.duration.observe(total)
        queued = facts.queued
        if queued is not None:
            self.queue.observe(queued)
        self.overhead.observe(own)
        if facts.attempts:
            self.upstream.observe(waited)
        stream, used = facts.stream, facts.used
        if stream is not None:
            self.gap.observe(stream.longest_gap)
            first = outcome.first_token
            if first is not None:
                self.first.observe(first - outcome.started)
        if used is not None:
            usage = used.usage
            self.tokens_in.observe(usage.input)
            self.tokens_out.observe(usage.output)
            self.cached += usage.cached
            self.cache_write += usage.cache_write
            self.reasoning += usage.reasoning
            price = facts.micro_dollars
            if price is None:
                self.unpriced += 1
            else:
                self.micro_dollars += price
