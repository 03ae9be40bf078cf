"""What the log says of providers."""

from gateway.telemetry.health import HealthNews
from gateway.telemetry.log import Log
from tests.fakes.clock import FakeClock
from tests.telemetry.test_log import events


def test_an_operator_reads_what_happened_to_which_target() -> None:
    def work(log: Log, _clock: FakeClock) -> None:
        news = HealthNews(log)
        news.opened("acme", "small", 5.04)
        news.closed("acme", "small")
        news.denied("acme", "upstream_denied")
        news.restored("acme")

    opened, closed, denied, restored = events(work)
    assert (opened["level"], opened["provider"], opened["model"], opened["seconds"]) == (
        "warning",
        "acme",
        "small",
        5.0,
    )
    assert closed["level"] == "info"
    assert (denied["level"], denied["code"]) == ("error", "upstream_denied")
    assert (restored["level"], restored["provider"]) == ("info", "acme")
