"""What the metrics say of targets and of tries among them."""

from random import Random

from gateway.core.errors import UpstreamBroken
from gateway.core.health import Health
from gateway.telemetry.health_metrics import HealthMetrics
from gateway.telemetry.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.telemetry.outcomes import value


def text_of(health: Health, clock: FakeClock) -> bytes:
    return Metrics(others=[HealthMetrics(health, clock)]).render()


def test_metrics_count_targets_by_state_and_retries_by_pool() -> None:
    health, clock = Health(Random(0)), FakeClock()
    health.condition("acme", "well").outstanding = 3
    health.condition("acme", "busy").pause(clock.now, 5)
    health.condition("acme", "broken").breaker.trip(clock.now)
    health.condition("other", "well").key.trip(clock.now)
    budget = health.budget(frozenset({"acme", "other"}), clock.now)
    for _ in range(21):
        budget.take(clock.now)
    text = text_of(health, clock)
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


def test_metrics_tell_speed_and_what_became_of_second_requests() -> None:
    health, clock = Health(Random(0)), FakeClock()
    health.condition("acme", "small").answered(clock.now, "acme", None, 0.5, first_token=True)
    hedges = health.budget(frozenset({"acme", "other"}), clock.now).hedges
    hedges.started, hedges.won, hedges.lost, hedges.micro_dollars = 5, 3, 1, 250
    text = text_of(health, clock)
    small = {"provider": "acme", "model": "small"}
    assert value(text, "turnout_target_first_token_ewma_seconds", **small) == 0.5
    for result, count in (("started", 5), ("won", 3), ("lost", 1)):
        labels = {"providers": "acme,other", "result": result}
        assert value(text, "turnout_hedges_total", **labels) == count
    assert value(text, "turnout_hedge_micro_dollars_total", providers="acme,other") == 250


def test_metrics_count_requests_that_no_target_saw() -> None:
    health, clock = Health(Random(0)), FakeClock()
    for _ in range(3):
        health.suspects.strike(b"it", "a", clock.now)
        health.suspects.accuse(b"it", UpstreamBroken("it failed"), 1, clock.now)
    assert health.suspects.held(b"it", clock.now) is not None
    assert health.suspects.held(b"another", clock.now) is None
    assert value(text_of(health, clock), "turnout_quarantined_requests_total") == 1
