"""Counters of one worker, as plain numbers, and their Prometheus text."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.core.outcome import Facts, Outcome
from gateway.telemetry.cache_metrics import CacheMetrics
from gateway.telemetry.exposition import CONFIG_OK, STATE_OK
from gateway.telemetry.limit_metrics import LimitMetrics
from gateway.telemetry.names import Names
from gateway.telemetry.slot_metrics import Target, slot_families

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
TOKENS: Final = tuple(float(4**power) for power in range(14))

Labels = tuple[str, ...]
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
        names = [*map(repr, self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class _Series:
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
        self._series: dict[Labels, _Series] = defaultdict(_Series)
        self._requests: dict[Labels, int] = defaultdict(int)
        self._errors: dict[Labels, int] = defaultdict(int)
        self._attempts: dict[Labels, int] = defaultdict(int)
        self._ends: dict[Labels, int] = defaultdict(int)
        self._tenants: dict[Labels, int] = defaultdict(int)
        self._registry = CollectorRegistry(auto_describe=False)
        self.limits, self.cache = LimitMetrics(), CacheMetrics()
        for collector in (self, self.limits, self.cache, *others):
            self._registry.register(collector)

    def observe(self, outcome: Outcome) -> None:
        """Count a finished request."""
        facts, endpoint = outcome.facts, outcome.endpoint
        providers, models, codes = self._providers, self._models, self._codes
        provider, model = providers[facts.provider], models[facts.model]
        code = codes[outcome.code]
        self._requests[endpoint, provider, model, str(outcome.status), code] += 1
        self._tenants[self._callers[outcome.caller.tenant],] += 1
        if outcome.fault is not None:
            self._errors[outcome.fault, code] += 1
        for attempt in facts.attempts:
            tried = providers[attempt.provider], models[attempt.model], codes[attempt.code]
            self._attempts[tried] += 1
        if facts.stream is not None:
            self._ends[facts.stream.reason,] += 1
        self.cache.observe(outcome)
        _measure(self._series[endpoint, provider, model], outcome, facts)

    def render(self) -> bytes:
        """Return the Prometheus text of this worker."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, for the official client's renderer."""
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


def _measure(series: _Series, outcome: Outcome, facts: Facts) -> None:
    total = outcome.ended - outcome.started
    waited = min(facts.waited, total)
    series.duration.observe(total)
    queued = facts.queued
    if queued is not None:
        series.queue.observe(queued)
    series.overhead.observe(max(0.0, total - waited - (queued or 0.0)))
    if facts.attempts:
        series.upstream.observe(waited)
    stream, used = facts.stream, facts.used
    if stream is not None:
        series.gap.observe(stream.longest_gap)
        first = outcome.first_token
        if first is not None:
            series.first.observe(first - outcome.started)
    if used is not None:
        usage = used.usage
        series.tokens_in.observe(usage.input)
        series.tokens_out.observe(usage.output)
        series.cached += usage.cached
        series.cache_write += usage.cache_write
        series.reasoning += usage.reasoning
        price = facts.micro_dollars
        if price is None:
            series.unpriced += 1
        else:
            series.micro_dollars += price


def _counter(name: str, text: str, labels: Labels, counts: Mapping[Labels, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
