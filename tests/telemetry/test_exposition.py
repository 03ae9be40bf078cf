"""What several workers counted, told as one process would."""

from gateway.core.exchange import Caller
from gateway.telemetry.exposition import merge, without_gauges
from gateway.telemetry.metrics import Metrics
from tests.telemetry.outcomes import GOOD, make_outcome, parsed, value


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


def test_one_worker_without_its_store_shows() -> None:
    works, fails = Metrics(), Metrics(state=lambda: False)
    assert value(works.render(), "turnout_state_ok") == 1
    assert value(merge([fails.render(), works.render()]), "turnout_state_ok") == 0
