"""Metrics of the cache: what became of requests, what it held back, and what it takes."""

from collections import Counter
from collections.abc import Iterator

from msgspec import structs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.cache import Cache
from gateway.core.outcome import Outcome
from gateway.telemetry.names import Names


class CacheMetrics(Collector):
    """What the caches of all policies made of requests, since this worker started."""

    def __init__(self) -> None:
        self._tenants = Names()
        self._results: Counter[tuple[str, str]] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._saved: Counter[str] = Counter()

    def observe(self, outcome: Outcome) -> None:
        """Count a finished request, if a cache had it."""
        cached = outcome.facts.cached
        if cached is None:
            return
        tenant = self._tenants[outcome.caller.tenant]
        self._results[tenant, cached.result] += 1
        if cached.reason:
            self._reasons[cached.result, cached.reason] += 1
        if cached.hit and cached.saved:
            self._saved[tenant] += cached.saved

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield _counted(
            "turnout_cache_requests",
            "Requests by what the cache made of them.",
            ("tenant", "result"),
            self._results,
        )
        yield _counted(
            "turnout_cache_reasons",
            "Why: of a bypass, of a miss that might have been a hit, of an unusual hit.",
            ("result", "reason"),
            self._reasons,
        )
        saved = CounterMetricFamily(
            "turnout_cache_saved_micro_dollars", "What hits had cost.", labels=("tenant",)
        )
        for tenant, amount in self._saved.items():
            saved.add_metric((tenant,), amount)
        yield saved


class CacheSize(Collector):
    """What one worker has at hand, and what happened to entries."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        cache = self._cache
        yield GaugeMetricFamily("turnout_cache_entries", "Answers at hand.", len(cache.shelf))
        yield GaugeMetricFamily("turnout_cache_bytes", "Bytes of them.", cache.shelf.size)
        yield GaugeMetricFamily(
            "turnout_cache_flights", "Questions that several may wait for.", len(cache.flights)
        )
        yield CounterMetricFamily(
            "turnout_cache_evictions", "Answers that left for others.", cache.shelf.evictions
        )
        yield _counted(
            "turnout_cache_events",
            "stored; refused, veto, failed, flight, renewed, feedback and audit.",
            ("kind", "what"),
            cache.events,
        )
        befell = CounterMetricFamily(
            "turnout_cache_store", "What befell answers in the store.", labels=("what",)
        )
        for what, count in structs.asdict(cache.store.counts).items():
            befell.add_metric((what,), count)
        yield befell


def _counted(
    name: str, text: str, labels: tuple[str, str], counts: Counter[tuple[str, str]]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
