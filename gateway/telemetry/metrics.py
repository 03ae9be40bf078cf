"""Counters of one worker, as plain numbers, and their Prometheus text."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.core.errors import Fault
from gateway.core.outcome import Outcome
from gateway.telemetry.cache_metrics import CacheMetrics
from gateway.telemetry.exposition import CONFIG_OK, STATE_OK
from gateway.telemetry.limit_metrics import LimitMetrics
from gateway.telemetry.names import Names
from gateway.telemetry.series import Histogram, Series
from gateway.telemetry.slot_metrics import Target, slot_families
from gateway.telemetry.tier_metrics import TierMetrics

Labels = tuple[str, ...]
MOST_ALIKE: Final = 1_000
"""Combinations of names to remember between two looks at the counts."""
_Names = tuple[str, str, str, int, str, Fault | None, str]
"""Endpoint, provider, model, status, code, fault and tenant of a request."""
_BY_MODEL: Final = ("endpoint", "gen_ai_provider_name", "gen_ai_request_model")


class Pool(Protocol):
    """What a provider's connection pool says of itself."""

    @property
    def opened(self) -> int: ...
    @property
    def reused(self) -> int: ...
    @property
    def in_use(self) -> int: ...
    @property
    def idle(self) -> int: ...


class _Alike:
    """Requests that differ in no name: their labels and series, and how many came of late."""

    __slots__ = ("count", "error", "request", "series", "tenant")

    def __init__(self, request: Labels, tenant: Labels, error: Labels, series: Series) -> None:
        self.request = request
        self.tenant = tenant
        self.error = error
        """Empty when nothing failed."""
        self.series = series
        self.count = 0


class Metrics(Collector):
    """What one worker has counted since it started.

    `in_flight` returns how many requests are being answered, `pools` each provider's connection
    pool, `config` the version of the policies in use and whether it is what their files say,
    `state` whether the store works, `targets` the slots of each target; all are asked when the
    text is rendered. `limits` and `cache` have families of their own, `others` are rendered behind
    all these.
    """

    def __init__(
        self,
        in_flight: Callable[[], int] = int,
        pools: Callable[[], Mapping[str, Pool]] = dict,
        config: Callable[[], tuple[str, bool]] = lambda: ("", True),
        state: Callable[[], bool] = lambda: True,
        targets: Callable[[], Iterable[Target]] = tuple,
        *,
        others: Sequence[Collector] = (),
    ) -> None:
        self._in_flight = in_flight
        self._pools = pools
        self._config = config
        self._state = state
        self._targets = targets
        self._providers, self._models = Names(), Names()
        self._codes, self._callers = Names(), Names()
        self._series: dict[Labels, Series] = defaultdict(Series)
        self._alike: dict[_Names, _Alike] = {}
        self._requests: dict[Labels, int] = defaultdict(int)
        self._errors: dict[Labels, int] = defaultdict(int)
        self._attempts: dict[Labels, int] = defaultdict(int)
        self._ends: dict[Labels, int] = defaultdict(int)
        self._tenants: dict[Labels, int] = defaultdict(int)
        self._registry = CollectorRegistry(auto_describe=False)
        self.limits, self.cache, self._tiers = LimitMetrics(), CacheMetrics(), TierMetrics()
        for collector in (self, self.limits, self.cache, self._tiers, *others):
            self._registry.register(collector)

    def observe(self, outcome: Outcome) -> None:
        """Count a finished request."""
        facts = outcome.facts
        # One look-up in place of one for each family and label: they are what counting costs.
        names = (
            outcome.endpoint,
            facts.provider,
            facts.model,
            outcome.status,
            outcome.code,
            outcome.fault,
            outcome.caller.tenant,
        )
        alike = self._alike.get(names) or self._first_of(names)
        alike.count += 1
        for attempt in facts.attempts:
            self._attempts[
                self._providers[attempt.provider],
                self._models[attempt.model],
                self._codes[attempt.code],
            ] += 1
        if facts.stream is not None:
            self._ends[facts.stream.reason,] += 1
        if facts.cached is not None:
            self.cache.observe(outcome)
        if facts.tiered is not None:
            self._tiers.observe(outcome, facts.tiered)
        alike.series.measure(outcome, facts)

    def _first_of(self, names: _Names) -> _Alike:
        """Return where requests with these names are counted."""
        if len(self._alike) >= MOST_ALIKE:
            self._settle()
            self._alike.clear()
        endpoint, provider, model, status, code, fault, tenant = names
        provider, model, code = self._providers[provider], self._models[model], self._codes[code]
        alike = self._alike[names] = _Alike(
            (endpoint, provider, model, str(status), code),
            (self._callers[tenant],),
            () if fault is None else (fault, code),
            self._series[endpoint, provider, model],
        )
        return alike

    def _settle(self) -> None:
        """Count for every family what was counted together."""
        for alike in self._alike.values():
            count, alike.count = alike.count, 0
            self._requests[alike.request] += count
            self._tenants[alike.tenant] += count
            if alike.error:
                self._errors[alike.error] += count

    def render(self) -> bytes:
        """Return the Prometheus text of this worker."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, for the official client's renderer."""
        self._settle()
        yield from self._counters()
        yield from self._histograms()
        yield from self._usage()
        yield from self._connections()
        yield from slot_families(self._targets())

    def _counters(self) -> Iterator[Metric]:
        yield _counter(
            "turnout_requests",
            "Finished requests.",
            ("endpoint", "provider", "model", "status", "code"),
            self._requests,
        )
        yield _counter(
            "turnout_tenant_requests", "Finished requests by tenant.", ("tenant",), self._tenants
        )
        yield _counter(
            "turnout_errors", "Failed requests by who is to blame.", ("fault", "code"), self._errors
        )
        yield _counter(
            "turnout_upstream_attempts",
            "Tries of a provider; an empty code is success.",
            ("provider", "model", "code"),
            self._attempts,
        )
        yield _counter(
            "turnout_stream_ends", "Finished streams by how they ended.", ("reason",), self._ends
        )
        yield GaugeMetricFamily(
            "turnout_requests_in_flight", "Requests being answered.", self._in_flight()
        )
        version, right = self._config()
        yield GaugeMetricFamily(
            CONFIG_OK, "1 when the policies in use are what their files say.", float(right)
        )
        yield GaugeMetricFamily(
            STATE_OK, "1 when limits, keys and the ledger can be read and written.", self._state()
        )
        used = GaugeMetricFamily(
            "turnout_config_version", "Workers that use this version.", labels=("version",)
        )
        used.add_metric((version,), 1)
        yield used

    def _histograms(self) -> Iterator[Metric]:
        for name, text, part in (
            ("gen_ai_server_request_duration_seconds", "Whole request.", "duration"),
            (
                "gen_ai_server_time_to_first_token_seconds",
                "First byte out, or first token gathered.",
                "first",
            ),
            ("gen_ai_client_operation_duration_seconds", "Waited for providers.", "upstream"),
            ("turnout_overhead_seconds", "The gateway's own part.", "overhead"),
            (
                "turnout_queue_seconds",
                "Waited for a slot of a target, where none was free.",
                "queue",
            ),
            ("turnout_stream_longest_gap_seconds", "Longest silence of a stream.", "gap"),
        ):
            family = HistogramMetricFamily(name, text, labels=_BY_MODEL)
            for labels, series in self._series.items():
                histogram: Histogram = getattr(series, part)
                family.add_metric(labels, histogram.buckets(), histogram.total)
            yield family

    def _usage(self) -> Iterator[Metric]:
        tokens = HistogramMetricFamily(
            "gen_ai_client_token_usage",
            "Tokens a request.",
            labels=(*_BY_MODEL, "gen_ai_token_type"),
        )
        parts = CounterMetricFamily(
            "turnout_tokens_part",
            "Tokens that are part of input or output.",
            labels=(*_BY_MODEL, "part"),
        )
        cost = CounterMetricFamily("turnout_cost_micro_dollars", "Cost.", labels=_BY_MODEL)
        unpriced = CounterMetricFamily(
            "turnout_unpriced_requests", "Requests whose cost is unknown.", labels=_BY_MODEL
        )
        for labels, series in self._series.items():
            for way, histogram in (("input", series.tokens_in), ("output", series.tokens_out)):
                tokens.add_metric((*labels, way), histogram.buckets(), histogram.total)
            parts.add_metric((*labels, "cached"), series.cached)
            parts.add_metric((*labels, "cache_write"), series.cache_write)
            parts.add_metric((*labels, "reasoning"), series.reasoning)
            cost.add_metric(labels, series.micro_dollars)
            unpriced.add_metric(labels, series.unpriced)
        yield from (tokens, parts, cost, unpriced)

    def _connections(self) -> Iterator[Metric]:
        taken = CounterMetricFamily(
            "turnout_upstream_connections",
            "Connections taken for a request: opened for it, or reused.",
            labels=("provider", "how"),
        )
        held = GaugeMetricFamily(
            "turnout_upstream_connections_held",
            "Connections open now.",
            labels=("provider", "state"),
        )
        for provider, pool in self._pools().items():
            taken.add_metric((provider, "opened"), pool.opened)
            taken.add_metric((provider, "reused"), pool.reused)
            held.add_metric((provider, "in_use"), pool.in_use)
            held.add_metric((provider, "idle"), pool.idle)
        yield from (taken, held)


def _counter(name: str, text: str, labels: Labels, counts: Mapping[Labels, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
