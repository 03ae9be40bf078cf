"""The health of targets as metrics: states, speeds, tries beyond the first, and what they cost."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.condition import Condition
from gateway.core.health import Health
from gateway.core.ports import Clock

_TARGET: Final = ("provider", "model")
_POOL: Final = ("providers",)


class HealthMetrics(Collector):
    """What one worker knows of its targets. Over several workers the gauges are sums."""

    def __init__(self, health: Health, clock: Clock) -> None:
        self._health = health
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield self._states()
        under_way = GaugeMetricFamily(
            "turnout_target_outstanding", "Requests at this target now.", labels=_TARGET
        )
        speed = GaugeMetricFamily(
            "turnout_target_first_token_ewma_seconds",
            "Moving average of first tokens, or of whole answers; several workers' are added up.",
            labels=_TARGET,
        )
        openings = CounterMetricFamily(
            "turnout_breaker_openings", "Times that a target was left alone.", labels=_TARGET
        )
        for each in self._health.conditions():
            target = (each.provider, each.model)
            under_way.add_metric(target, each.outstanding)
            speed.add_metric(target, each.speed.seconds)
            openings.add_metric(target, each.breaker.openings)
        yield from (under_way, speed, openings)
        yield self._retries()
        yield from self._hedges()
        yield CounterMetricFamily(
            "turnout_quarantined_requests",
            "Requests that no target saw, since they had failed wherever they went.",
            self._health.suspects.quarantined,
        )

    def _states(self) -> Metric:
        now = self._clock.monotonic()
        family = GaugeMetricFamily(
            "turnout_target_state",
            "Workers that see this target so: closed is well, paused and denied are its key's.",
            labels=(*_TARGET, "state"),
        )
        for each in self._health.conditions():
            family.add_metric((each.provider, each.model, _state(each, now)), 1)
        return family

    def _retries(self) -> Metric:
        family = CounterMetricFamily(
            "turnout_retries",
            "Tries beyond a request's first: granted, or refused for want of budget.",
            labels=(*_POOL, "result"),
        )
        for providers, budget in self._health.budgets():
            family.add_metric((providers, "granted"), budget.granted)
            family.add_metric((providers, "refused"), budget.refused)
        return family

    def _hedges(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "turnout_hedges",
            "Second requests: started, won (the second answered), lost (the first did).",
            labels=(*_POOL, "result"),
        )
        spend = CounterMetricFamily(
            "turnout_hedge_micro_dollars",
            "What requests that lost are taken to have cost.",
            labels=_POOL,
        )
        for providers, budget in self._health.budgets():
            hedges = budget.hedges
            counts.add_metric((providers, "started"), hedges.started)
            counts.add_metric((providers, "won"), hedges.won)
            counts.add_metric((providers, "lost"), hedges.lost)
            spend.add_metric((providers,), hedges.micro_dollars)
        yield from (counts, spend)


def _state(condition: Condition, now: float) -> str:
    if not condition.key.closed:
        return "denied"
    state = condition.breaker.state(now)
    return "paused" if state == "closed" and condition.paused_until > now else state
