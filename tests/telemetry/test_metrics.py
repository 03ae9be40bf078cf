from collections.abc import Callable
from math import inf

import pytest
from msgspec import Struct
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.exchange import Caller
from gateway.core.notes import Attempted, Note, Routed, StreamEnded, Used
from gateway.core.reply import Usage
from gateway.telemetry.metrics import CAP, Metrics, merge, without_gauges
from tests.telemetry.outcomes import make_outcome

CHAT = "/v1/chat/completions"
GOOD: tuple[Note, ...] = (
    Routed("gpt", "one", "explicit"),
    Attempted("two", "gpt", 100.0, 100.2, "upstream_busy", 429),
    Attempted("one", "gpt", 100.2, 100.5),
    Used("gpt", Usage(57, 31, 7, 5, 3), 1_240),
)


class FakePool(Struct):
    opened: int = 3
    reused: int = 97
    in_use: int = 2
    idle: int = 1


def parsed(text: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def value(text: bytes, name: str, **labels: str) -> float:
    for family in parsed(text).values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    raise AssertionError(f"no {name} with {labels}")


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


def test_bucket_counts_are_cumulative_and_end_with_all() -> None:
    metrics = Metrics()
    for seconds in (0.005, 0.01, 0.3, 9_999.0):
        metrics.observe(make_outcome(started=0.0, ended=seconds))
    name = "gen_ai_server_request_duration_seconds"
    buckets = {
        float(sample.labels["le"]): sample.value
        for sample in parsed(metrics.render())[name].samples
        if sample.name.endswith("_bucket")
    }
    assert (buckets[0.01], buckets[0.02], buckets[0.32], buckets[655.36]) == (2, 2, 3, 3)
    assert buckets[inf] == 4


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


def test_the_text_of_several_workers_adds_up() -> None:
    one, two = Metrics(in_flight=lambda: 2), Metrics(in_flight=lambda: 3)
    one.observe(make_outcome(*GOOD))
    for _ in range(3):
        two.observe(make_outcome(*GOOD))
    two.observe(make_outcome(*GOOD, caller=Caller('a "quoted" {tenant} \n', "")))
    text = merge([one.render(), two.render()])
    assert value(text, "turnout_requests_total") == 5
    assert value(text, "turnout_requests_in_flight") == 5
    assert value(text, "turnout_tenant_requests_total", tenant='a "quoted" {tenant} \n') == 1
    assert value(text, "gen_ai_server_request_duration_seconds_bucket", le="+Inf") == 5
    assert value(text, "turnout_cost_micro_dollars_total") == 5 * 1_240
    assert list(parsed(text)) == list(parsed(one.render()))


def test_merging_one_worker_changes_no_value_and_merging_none_gives_nothing() -> None:
    metrics = Metrics()
    metrics.observe(make_outcome(*GOOD))
    alone = {f.name: f.samples for f in parsed(metrics.render()).values()}
    merged = {f.name: f.samples for f in parsed(merge([metrics.render()])).values()}
    assert merged == alone
    assert merge([]) == b""


def test_what_outlives_a_worker_is_what_only_grows() -> None:
    metrics = Metrics(in_flight=lambda: 2)
    metrics.observe(make_outcome(*GOOD))
    text = without_gauges(metrics.render())
    families = parsed(text)
    assert "turnout_requests_in_flight" not in families
    assert {family.type for family in families.values()} == {"counter", "histogram"}
    lasting = [name for name, each in parsed(metrics.render()).items() if each.type != "gauge"]
    assert list(families) == lasting
    assert value(text, "gen_ai_server_request_duration_seconds_count") == 1


def test_metrics_need_nothing_to_render() -> None:
    make: Callable[[], Metrics] = Metrics
    assert "turnout_requests" in parsed(make().render())


def test_the_version_of_the_policies_is_counted_and_one_bad_worker_shows() -> None:
    right, wrong = Metrics(config=lambda: ("abc", True)), Metrics(config=lambda: ("abd", False))
    text = right.render()
    assert value(text, "turnout_config_ok") == 1
    assert value(text, "turnout_config_version", version="abc") == 1
    both = merge([right.render(), right.render()])
    assert value(both, "turnout_config_ok") == 1
    assert value(both, "turnout_config_version", version="abc") == 2
    for order in ((right, wrong), (wrong, right)):
        mixed = merge([each.render() for each in order])
        assert value(mixed, "turnout_config_ok") == 0
        assert value(mixed, "turnout_config_version", version="abd") == 1
