"""How semantic hits stand, as an operator's dashboard sees it."""

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from gateway.core.audits import Audits
from gateway.core.hit_budget import Group
from gateway.state.audits_memory import MemoryAudits
from gateway.telemetry.audit_metrics import AuditMetrics
from gateway.telemetry.exposition import merge
from gateway.telemetry.names import CAP
from tests.telemetry.outcomes import value

GROUP = Group("acme", "default", "gpt")
LABELS = {"tenant": "acme", "policy": "default", "asked": "gpt"}
BOUND, THRESHOLD = "turnout_cache_false_hit_bound", "turnout_cache_semantic_threshold"


def text_of(audits: Audits) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AuditMetrics(audits))
    return generate_latest(registry)


async def test_every_group_has_its_bound_and_its_threshold() -> None:
    audits = Audits(MemoryAudits(), lambda: 1_700_000_000.0)
    for _ in range(50):
        audits.add(GROUP, 0.97, wrong=False)
    await audits.flush()
    text = text_of(audits)
    assert value(text, BOUND, **LABELS) == pytest.approx(0.0713, abs=1e-4)
    assert value(text, THRESHOLD, **LABELS) == 0.94
    assert value(text, "turnout_cache_audits_waiting") == 0
    assert value(text, "turnout_cache_checks_lost_total") == 0
    both = merge([text, text])
    assert value(both, BOUND, **LABELS) == pytest.approx(0.0713, abs=1e-4)
    assert value(both, THRESHOLD, **LABELS) == 0.94


async def test_of_very_many_groups_the_worst_bound_of_the_rest_is_told() -> None:
    audits = Audits(MemoryAudits(), lambda: 1_700_000_000.0)
    for number in range(CAP + 3):
        audits.add(replace(GROUP, asked=f"m{number}"), 0.97, wrong=number == CAP + 1)
    await audits.flush()
    text = text_of(audits)
    assert text.count(BOUND.encode() + b"{") == CAP + 1
    other = {"tenant": "other", "policy": "other", "asked": "other"}
    assert value(text, BOUND, **other) == 1.0
    assert value(text, THRESHOLD, **other) == 0.95
