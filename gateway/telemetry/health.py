"""The health of targets for operators: in the log, and as metrics."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.health import Health
from gateway.core.ports import Clock
from gateway.telemetry.log import Log

_TARGET = ("provider", "model")


class HealthNews:
    """Writes what an operator should know of providers."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def denied(self, provider: str, detail: str) -> None:
        """Say that our key was refused, once for every time that it is tried again."""
        self._log.error(
            "a provider refuses our key: mend it, it is tried again; one in env: after a restart",
            provider=provider,
            code=detail,
        )

    def opened(self, provider: str, model: str, seconds: float) -> None:
        """Say that a target is left alone."""
        self._log.warning(
            "a target fails and is left alone",
            provider=provider,
            model=model,
            seconds=round(seconds, 1),
        )

    def closed(self, provider: str, model: str) -> None:
        """Say that a target serves again."""
        self._log.info("a target serves again", provider=provider, model=model)


class HealthMetrics(Collector):
    """What one worker knows of its targets. Over several workers the gauges count workers."""

    def __init__(self, health: Health, clock: Clock) -> None:
        self._health = health
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        now = self._clock.monotonic()
        states = GaugeMetricFamily(
            "turnout_target_state",
            "Workers that see this target so: closed is well, paused and denied are its key's.",
            labels=(*_TARGET, "state"),
        )
        under_way = GaugeMetricFamily(
            "turnout_target_outstanding", "Requests at this target now.", labels=_TARGET
        )
        openings = CounterMetricFamily(
            "turnout_breaker_openings", "Times that a target was left alone.", labels=_TARGET
        )
        for each in self._health.conditions():
            target = (each.provider, each.model)
            state: str = each.breaker.state(now)
            if not each.key.closed:
                state = "denied"
            elif state == "closed" and each.paused_until > now:
                state = "paused"
            states.add_metric((*target, state), 1)
            under_way.add_metric(target, each.outstanding)
            openings.add_metric(target, each.breaker.openings)
        yield from (states, under_way, openings)
        yield self._retries()

    def _retries(self) -> Metric:
        family = CounterMetricFamily(
            "turnout_retries",
            "Tries beyond a request's first: granted, or refused for want of budget.",
            labels=("providers", "result"),
        )
        for providers, budget in self._health.budgets():
            family.add_metric((providers, "granted"), budget.granted)
            family.add_metric((providers, "refused"), budget.refused)
        return family
