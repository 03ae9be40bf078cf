"""Requests are counted by tier, and by what it was chosen."""

from gateway.core.notes import Tiered, Verdict
from gateway.telemetry.metrics import Metrics
from tests.telemetry.outcomes import folded, make_outcome, value

KEPT = Tiered("fast", "kept", "kept for a tool loop", "mini", "a")
FAILED = Tiered("complex", "fallback", "scoring failed", "sonnet", "c")


def test_requests_are_counted_by_tier_and_step() -> None:
    metrics = Metrics()
    for note in (KEPT, KEPT, FAILED, Verdict("relay", "ran")):
        metrics.observe(make_outcome(note))
    text, name = metrics.render(), "turnout_tier_requests_total"
    assert value(text, name, policy="default", tier="fast", by="kept") == 2
    assert value(text, name, policy="default", tier="complex", by="fallback") == 1


def test_the_log_says_which_tier_by_what_and_why() -> None:
    event = folded(make_outcome(KEPT), 0.0, {"gpt"})
    assert (event["tier"], event["tier_by"]) == ("fast", "kept")
    assert event["route"] == "kept for a tool loop"
    assert (event["answered_model"], event["answered_by"]) == ("mini", "a")
    plain = folded(make_outcome(), 0.0, {"gpt"})
    assert (plain["tier"], plain["tier_by"]) == (None, None)
