"""Overhead is the time that no provider is to blame for."""

from gateway.core.notes import Attempted, Notes, StreamEnded
from gateway.core.outcome import overhead


def test_without_a_provider_all_time_is_overhead() -> None:
    assert overhead(Notes(), 10.0, 10.5) == 0.5


def test_time_spent_waiting_for_providers_is_not_overhead() -> None:
    notes = Notes()
    notes.add(Attempted("p", "m", 10.0, 11.0, code="upstream_busy", status=429))
    notes.add(Attempted("q", "m", 11.25, 12.25))
    notes.add(StreamEnded("done", 5, 100, 0.5, upstream_seconds=2.0))
    assert overhead(notes, 10.0, 15.0) == 1.0


def test_overhead_is_never_below_zero() -> None:
    notes = Notes()
    notes.add(Attempted("p", "m", 10.0, 12.0))
    notes.add(Attempted("q", "m", 10.0, 12.0))
    assert overhead(notes, 10.0, 12.0) == 0.0
