"""What the cache did, as an operator's dashboard sees it."""

from prometheus_client import CollectorRegistry, generate_latest

from gateway.core.cache import open_cache
from gateway.core.notes import Cached
from gateway.state.answers_memory import MemoryAnswers
from gateway.telemetry.cache_metrics import CacheMetrics, CacheSize
from tests.fakes.kept import NOW, answer
from tests.telemetry.outcomes import folded, make_outcome, value


def text_of(*collectors: CacheMetrics | CacheSize) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


def test_requests_are_counted_by_tenant_and_result_with_reasons_and_savings() -> None:
    metrics = CacheMetrics()
    for cached in (
        Cached("miss", "number"),
        Cached("hit-exact", "", 3.0, "ans-1", "gpt", 1_240),
        Cached("hit-semantic", "coalesced", 3.0, "ans-1", "gpt", 60),
        Cached("hit-exact", saved=None),
    ):
        metrics.observe(make_outcome(cached))
    metrics.observe(make_outcome())
    text = text_of(metrics)
    assert value(text, "turnout_cache_requests_total", tenant="acme", result="hit-exact") == 2
    assert value(text, "turnout_cache_requests_total", tenant="acme", result="miss") == 1
    assert value(text, "turnout_cache_reasons_total", result="miss", reason="number") == 1
    assert value(text, "turnout_cache_saved_micro_dollars_total", tenant="acme") == 1_300


def test_what_is_at_hand_and_what_happened_is_shown() -> None:
    cache = open_cache(MemoryAnswers(lambda: NOW, 1 << 20), b"pepper")
    cache.keep(answer(1))
    cache.events["veto", "number"] += 3
    text = text_of(CacheSize(cache))
    assert value(text, "turnout_cache_entries") == 1
    assert value(text, "turnout_cache_bytes") == cache.shelf.size
    assert value(text, "turnout_cache_flights") == 0
    assert value(text, "turnout_cache_events_total", kind="veto", what="number") == 3
    assert value(text, "turnout_cache_events_total", kind="stored", what="") == 1
    assert value(text, "turnout_cache_store_total", what="evicted") == 0


def test_the_log_has_what_a_hit_saved_and_nothing_of_requests_without_a_cache() -> None:
    event = folded(make_outcome(Cached("hit-exact", "", 3.5, "ans-1", "gpt", 1_240)), 0.0, {"gpt"})
    assert (event["cache"], event["cache_age_s"], event["cache_id"]) == ("hit-exact", 3.5, "ans-1")
    assert (event["saved_usd"], event["answered_model"]) == (0.00124, "gpt")
    missed = folded(make_outcome(Cached("miss", unstored="refusal")), 0.0, {"gpt"})
    assert (missed["cache"], missed["cache_unstored"]) == ("miss", "refusal")
    assert folded(make_outcome(), 0.0, {"gpt"})["cache"] is None


def test_the_log_has_what_is_known_of_a_semantic_hit() -> None:
    cached = Cached("hit-semantic", "", 3.5, "ans-1", "gpt", 1_240, "<=0.012")
    assert folded(make_outcome(cached), 0.0, {"gpt"})["cache_risk"] == "<=0.012"
