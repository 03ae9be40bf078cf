"""Tiers: what each can take, and which one stands in for another."""

from typing import Any

import pytest

from gateway.core.exchange import Caller
from gateway.stages.complexity_router.tiers import Tier, TierPolicy, nearest
from tests.fakes.routed import PICTURE, RoutedHouse


@pytest.mark.parametrize(
    ("asked", "misfit"),
    [
        ({}, ""),
        ({"content": PICTURE}, "vision"),
        ({"logprobs": True}, "logprobs"),
        ({"content": "word " * 4_000}, "context"),
        ({"max_tokens": 501}, "max_output"),
        ({"max_tokens": 500, "max_cost": 100}, "cost"),
        ({"max_tokens": 500, "max_cost": 1_000}, ""),
        ({"endpoint": "embeddings", "input": "x"}, "endpoint"),
        ({"endpoint": "count_tokens"}, ""),
        ({"caller": Caller(models=frozenset({"haiku"}))}, "tenant"),
    ],
)
def test_what_a_request_needs_and_a_tier_has_not(asked: dict[str, Any], misfit: str) -> None:
    house = RoutedHouse()
    tier = Tier(TierPolicy(name="fast", model="turnout/fast"), house.tools)
    content = asked.pop("content", "hi")
    exchange = house.exchange(content, **asked)
    assert tier.misfit(exchange) == misfit
    assert tier.admits(exchange) is (misfit != "tenant")


@pytest.mark.parametrize(
    ("wanted", "able", "tier"),
    [(1, (0, 1, 2), 1), (0, (1, 2), 1), (1, (0, 2), 2), (2, (0, 1), 1), (2, (0,), 0)],
)
def test_the_next_tier_above_stands_in_else_the_next_below(
    wanted: int, able: tuple[int, ...], tier: int
) -> None:
    assert nearest(wanted, able) == tier
