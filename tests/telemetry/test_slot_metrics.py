from random import Random

import pytest

from gateway.core.capacity import Capacity, Concurrency
from gateway.core.catalogue import Model
from gateway.core.notes import Attempted, Queued
from gateway.telemetry.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.telemetry.outcomes import folded, make_outcome, value


def test_every_target_that_was_asked_shows_its_limit_and_use() -> None:
    capacity = Capacity(FakeClock(), Random(1), {"p": Concurrency(max=2, adaptive=False)})
    capacity.at(Model(provider="p", name="m", upstream="m-1")).take()
    text = Metrics(targets=capacity.targets).render()
    target = {"provider": "p", "model": "m-1"}
    assert value(text, "turnout_target_limit", **target) == 2
    assert value(text, "turnout_target_in_use", **target) == 1
    assert value(text, "turnout_target_waiting", **target) == 0


def test_time_in_the_queue_is_neither_overhead_nor_the_providers() -> None:
    outcome = make_outcome(Queued(0.4), Attempted("p", "m", 100.5, 100.9))
    metrics = Metrics()
    metrics.observe(outcome)
    metrics.observe(make_outcome(Attempted("p", "m", 100.5, 100.9)))
    text = metrics.render()
    assert value(text, "turnout_queue_seconds_count") == 1
    assert round(value(text, "turnout_queue_seconds_sum"), 6) == 0.4
    event = folded(outcome, 0.0, ())
    shown = event["queue_ms"], event["upstream_ms"], event["overhead_ms"]
    assert shown == pytest.approx((400.0, 400.0, 200.0), abs=0.01)
    assert outcome.facts.overhead(100.0, 101.0) < 0.2001
    assert folded(make_outcome(), 0.0, ())["queue_ms"] is None
