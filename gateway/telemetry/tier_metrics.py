"""Metrics of routing by complexity: which tiers requests went to, and by what."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.notes import Step, Tiered
from gateway.core.outcome import Outcome


class TierMetrics(Collector):
    """Counted by names of the configuration alone, so there are few series."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, Step]] = Counter()

    def observe(self, outcome: Outcome, tiered: Tiered) -> None:
        """Count a request that was given a tier."""
        self._requests[outcome.policy, tiered.tier, tiered.step] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = CounterMetricFamily(
            "turnout_tier_requests",
            "Requests by the tier that was chosen, and by what: `fallback` is scoring that failed.",
            labels=("policy", "tier", "by"),
        )
        for labels, count in self._requests.items():
            family.add_metric(labels, count)
        yield family
