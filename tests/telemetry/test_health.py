"""What the log and the metrics say of providers."""

from random import Random

from gateway.core.health import Health
from gateway.telemetry.health import HealthMetrics, HealthNews
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.telemetry.outcomes import value
from tests.telemetry.test_log import events


def test_an_operator_reads_what_happened_to_which_target() -> None:
    def work(log: Log, _clock: FakeClock) -> None:
        news = HealthNews(log)
        news.opened("acme", "small", 5.04)
        news.closed("acme", "small")
        news.denied("acme", "upstream_denied")

    opened, closed, denied = events(work)
    assert (opened["level"], opened["provider"], opened["model"], opened["seconds"]) == (
        "warning",
        "acme",
        "small",
        5.0,
    )
    assert closed["level"] == "info"
    assert (denied["level"], denied["code"]) == ("error", "upstream_denied")


def test_metrics_count_targets_by_state_and_retries_by_pool() -> None:
    health, clock = Health(Random(0)), FakeClock()
    health.condition("acme", "well").outstanding = 3
    health.condition("acme", "busy").pause(clock.now, 5)
    health.condition("acme", "broken").breaker.trip(clock.now)
    health.condition("other", "well").key.trip(clock.now)
    budget = health.budget(frozenset({"acme", "other"}), clock.now)
    for _ in range(21):
        budget.take(clock.now)
    text = Metrics(others=[HealthMetrics(health, clock)]).render()
    for provider, model, state in (
        ("acme", "well", "closed"),
        ("acme", "busy", "paused"),
        ("acme", "broken", "open"),
        ("other", "well", "denied"),
    ):
        labels = {"provider": provider, "model": model, "state": state}
        assert value(text, "turnout_target_state", **labels) == 1
    acme = {"provider": "acme"}
    assert value(text, "turnout_target_outstanding", model="well", **acme) == 3
    assert value(text, "turnout_breaker_openings_total", model="broken", **acme) == 1
    assert value(text, "turnout_retries_total", providers="acme,other", result="granted") == 20
    assert value(text, "turnout_retries_total", providers="acme,other", result="refused") == 1
