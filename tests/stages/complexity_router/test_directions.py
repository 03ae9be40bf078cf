"""Rules of a router: when they hold, and which cannot be meant."""

from typing import Any

import msgspec
import pytest

from gateway.stages.complexity_router.directions import Direction, RulePolicy
from gateway.stages.complexity_router.features import asked_by
from tests.fakes.routed import CATALOGUE, RoutedHouse

TIERS = ["fast", "complex"]


def rule(**fields: Any) -> RulePolicy:
    return msgspec.convert({"name": "r", "tier": "complex", **fields}, RulePolicy)


def holds(found: RulePolicy, content: str = "hi", **more: Any) -> bool:
    exchange = RoutedHouse().exchange(content, **more)
    return Direction(found, TIERS, CATALOGUE).holds(exchange, asked_by(exchange.request))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We need a LEGAL opinion.", True),
        ("A legal  opinion", False),
        ("That is illegal opinions", False),
        ("liability?", True),
    ],
)
def test_words_are_found_as_words_in_any_case(text: str, *, found: bool) -> None:
    assert holds(rule(contains=["legal opinion", "liability"]), text) is found


def test_only_what_is_asked_is_read_not_the_system_prompt() -> None:
    system = {"role": "system", "content": "Give no legal opinion."}
    messages = [system, {"role": "user", "content": "How tall is the tower in the old town?"}]
    assert not holds(rule(contains="legal opinion"), messages=messages)


def test_all_conditions_of_a_rule_must_hold() -> None:
    found = rule(matches="sign.{0,9}here", when={"metadata": {"team": "law"}})
    assert holds(found, "sign it here", metadata={"team": "law"})
    assert not holds(found, "sign it here", metadata={"team": "it"})
    assert not holds(found, "sign it", metadata={"team": "law"})


def test_tokens_decide() -> None:
    found = rule(when={"tokens": {"above": 100}})
    assert holds(found, "word " * 200)
    assert not holds(found)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"contains": "x"}, []),
        ({"contains": "x", "min_tier": "fast"}, ["say either `tier` or `min_tier`."]),
        ({"contains": "x", "tier": ""}, ["say either `tier` or `min_tier`."]),
        (
            {"contains": "x", "tier": "complx"},
            ["there is no such tier. Did you mean `complex`?"],
        ),
        ({}, ["this holds for every request: add `when`, `contains` or `matches`."]),
        ({"contains": ["x", " "]}, ["an empty text is in every request."]),
        ({"matches": "(a*)*"}, ["this repeats what may itself match in several ways."]),
    ],
)
def test_what_cannot_be_meant_is_said(fields: dict[str, Any], said: list[str]) -> None:
    assert [problem.what for problem in rule(**fields).check(TIERS)] == said
