"""What a chain tells that asked nobody."""

from random import Random

import pytest

from gateway.core.errors import CapabilityMissing
from gateway.core.health import Health
from gateway.stages.failover.ends import all_down, unfit


def test_the_first_to_recover_says_when_to_come_back() -> None:
    health = Health(Random(0))
    soon, late = health.condition("a", "one"), health.condition("b", "two")
    soon.pause(100, 3)
    late.pause(100, 30)
    assert all_down([late, soon], 100, "").retry_after == 3
    assert all_down([late, soon], 102.9, "").retry_after == 0.5
    assert all_down([], 100, "why").detail == "why"
    assert all_down([], 100, "").retry_after is None


@pytest.mark.parametrize(
    ("reasons", "code"),
    [
        (["tenant", "context"], "capability_missing"),
        (["tenant", "cost"], "max_cost_exceeded"),
        (["tenant"], "model_not_allowed"),
    ],
)
def test_what_a_caller_can_mend_is_told_first(reasons: list[str], code: str) -> None:
    assert unfit(reasons, None).code == code
    lacks = CapabilityMissing("no tools", param="tools")
    assert unfit(reasons, lacks) is lacks
