from collections.abc import Callable

import pytest
from msgspec import Struct

from gateway.core.exchange import Caller
from gateway.core.notes import Attempted, StreamEnded, Used
from gateway.core.reply import Usage
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.names import CAP
from tests.telemetry.outcomes import GOOD, make_outcome, parsed, value

CHAT = "/v1/chat/completions"


class FakePool(Struct):
    opened: int = 3
    reused: int = 97
    in_use: int = 2
    idle: int = 1


def test_a_request_is_counted_once_in_every_family_that_it_belongs_to() -> None:
    metrics = Metrics()
    metrics.observe(make_outcome(*GOOD))
    text = metrics.render()
    chat = {"endpoint": CHAT}
    assert value(text, "turnout_requests_total", status="200", code="", model="gpt", **chat) == 1
    assert value(text, "turnout_tenant_requests_total", tenant="acme") == 1
    attempts = "turnout_upstream_attempts_total"
    assert value(text, attempts, provider="two", code="upstream_busy") == 1
    assert value(text, attempts, provider="one", code="") == 1
    assert value(text, "gen_ai_server_request_duration_seconds_count", **chat) == 1
    assert value(text, "gen_ai_server_request_duration_seconds_sum") == pytest.approx(1.0)
    assert value(text, "gen_ai_client_operation_duration_seconds_sum") == pytest.approx(0.5)
    assert value(text, "turnout_overhead_seconds_sum") == pytest.approx(0.5)
    usage = "gen_ai_client_token_usage_sum"
    assert value(text, usage, gen_ai_token_type="input") == 57
    assert value(text, usage, gen_ai_token_type="output") == 31
    assert value(text, "turnout_tokens_part_total", part="cached") == 7
    assert value(text, "turnout_tokens_part_total", part="reasoning") == 3
    assert value(text, "turnout_cost_micro_dollars_total") == 1_240
    assert value(text, "turnout_unpriced_requests_total") == 0


def test_a_broken_stream_shows_its_end_its_gap_and_its_fault() -> None:
    metrics = Metrics()
    end = StreamEnded("upstream_cut", 3, 900, 0.4, 0.9, "upstream_truncated")
    metrics.observe(make_outcome(end, stream=True, code="upstream_truncated", fault="upstream"))
    metrics.observe(make_outcome(end, Used("gpt", Usage(1, 1), None), first_byte=None))
    text = metrics.render()
    assert value(text, "turnout_stream_ends_total", reason="upstream_cut") == 2
    assert value(text, "turnout_errors_total", fault="upstream", code="upstream_truncated") == 1
    assert value(text, "turnout_stream_longest_gap_seconds_count", gen_ai_request_model="") == 2
    assert value(text, "gen_ai_server_time_to_first_token_seconds_count") == 1
    assert value(text, "turnout_unpriced_requests_total") == 1


def test_a_second_look_finds_what_came_since_on_top_of_the_first() -> None:
    metrics = Metrics()
    failed = make_outcome(status=502, code="upstream_reset", fault="upstream")
    for outcome in (make_outcome(*GOOD), failed, failed):
        metrics.observe(outcome)
    assert value(metrics.render(), "turnout_tenant_requests_total", tenant="acme") == 3
    metrics.observe(failed)
    for _ in range(2):
        text = metrics.render()
        assert value(text, "turnout_tenant_requests_total", tenant="acme") == 4
        assert value(text, "turnout_errors_total", fault="upstream") == 3
        assert value(text, "turnout_requests_total", status="200") == 1


def test_pools_and_requests_in_flight_are_read_when_asked() -> None:
    running = [1]
    metrics = Metrics(in_flight=lambda: running[0], pools=lambda: {"openai": FakePool()})
    running[0] = 4
    text = metrics.render()
    assert value(text, "turnout_requests_in_flight") == 4
    connections = "turnout_upstream_connections_total"
    assert value(text, connections, provider="openai", how="opened") == 3
    assert value(text, connections, provider="openai", how="reused") == 97
    assert value(text, "turnout_upstream_connections_held", state="in_use") == 2


def test_ten_thousand_hostile_names_stay_under_the_cap_and_inject_nothing() -> None:
    metrics = Metrics()
    for number in range(10_000):
        evil = f'm{number}"}} 1\nturnout_evil 1\n# \\'
        metrics.observe(
            make_outcome(
                Attempted(evil, evil, 0, 1, evil),
                caller=Caller(evil, ""),
                code=evil,
                fault="caller",
            )
        )
    families = parsed(metrics.render())
    assert "turnout_evil" not in families
    for name in ("turnout_requests", "turnout_tenant_requests", "turnout_errors"):
        assert len(families[name].samples) <= CAP + 1
    assert value(metrics.render(), "turnout_tenant_requests_total", tenant="other") == 10_000 - CAP


def test_metrics_need_nothing_to_render() -> None:
    make: Callable[[], Metrics] = Metrics
    assert "turnout_requests" in parsed(make().render())
