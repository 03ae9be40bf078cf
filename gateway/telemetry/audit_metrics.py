"""Metrics of the false-hit budget: how every group of similar questions stands."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.audits import Audits
from gateway.telemetry.exposition import HIT_BOUND, HIT_THRESHOLD
from gateway.telemetry.fold import OTHER
from gateway.telemetry.names import CAP

_LABELS: Final = ("tenant", "policy", "asked")
_Values = dict[tuple[str, ...], float]


class AuditMetrics(Collector):
    """The first groups have series of their own; of the rest the worst bound is told."""

    def __init__(self, audits: Audits) -> None:
        self._audits = audits

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        bounds, thresholds = _Values(), _Values()
        for group, standing in self._audits.groups():
            name: tuple[str, ...] = (group.tenant, group.policy, group.asked)
            if len(bounds) >= CAP:
                name = (OTHER, OTHER, OTHER)
            bounds[name] = max(standing.upper, bounds.get(name, 0.0))
            highest = standing.threshold if standing.serves else 1.0
            thresholds[name] = max(highest, thresholds.get(name, 0.0))
        yield _gauge(
            HIT_BOUND,
            "Share of wrong semantic hits that is not exceeded; 1 where nothing is known.",
            bounds,
        )
        yield _gauge(
            HIT_THRESHOLD,
            "Least cosine of two questions that is served; 1 where none is.",
            thresholds,
        )
        yield GaugeMetricFamily(
            "turnout_cache_audits_waiting",
            "Audits that wait for a place.",
            len(self._audits.backlog),
        )
        yield CounterMetricFamily(
            "turnout_cache_checks_lost", "Checks that never reached the store.", self._audits.lost
        )


def _gauge(name: str, text: str, values: _Values) -> Metric:
    family = GaugeMetricFamily(name, text, labels=_LABELS)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
