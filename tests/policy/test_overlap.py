"""Two stages for the same requests: which of them gets any is told before it is deployed."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.core.catalogue import Catalogue, Model
from gateway.policy.overlap import relation
from gateway.stages.when import When
from tests.policy.test_load import load

CATALOGUE = Catalogue(
    models={name: Model(provider="p", name=name) for name in ("small", "smart", "large")},
    aliases={"default": "small"},
)


def related(first: Any, second: Any) -> tuple[bool, bool]:
    one, other = msgspec.convert(first, When), msgspec.convert(second, When)
    found = relation(one, other, CATALOGUE)
    return found.apart, found.covers


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"stream": True}, {"stream": False}),
        ({"tools": True}, {"tools": False, "stream": True}),
        ({"tenant": "acme"}, {"tenant": ["other", "third"]}),
        ({"tenant": "gold-*"}, {"tenant": "iron-*"}),
        ({"tenant": "*-eu"}, {"tenant": "*-us"}),
        ({"tenant": "gold-*"}, {"tenant": "iron"}),
        ({"endpoint": "chat"}, {"endpoint": ["messages", "embeddings"]}),
        ({"model": "sm*"}, {"model": "large"}),
        ({"labels": {"tier": "gold"}}, {"labels": {"tier": "iron"}}),
        ({"header": {"x-a": "1"}}, {"header": {"x-a": "2"}}),
        ({"metadata": {"a": "1"}}, {"metadata": {"a": ["2", "3"]}}),
        ({"tokens": {"below": 100}}, {"tokens": {"above": 99}}),
    ],
)
def test_conditions_that_exclude_each_other(first: Any, second: Any) -> None:
    assert related(first, second)[0]
    assert related(second, first)[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"stream": True}, {"stream": True, "tools": True}),
        ({"tenant": "gold-*"}, {"tenant": ["gold-1", "gold-2"]}),
        ({"model": "sm*"}, {"model": ["small", "default"]}),
        ({"labels": {"tier": ["gold", "iron"]}}, {"labels": {"tier": "gold", "team": "a"}}),
        ({"tokens": {"above": 100}}, {"tokens": {"above": 100, "below": 500}}),
        ({}, {"image": True}),
    ],
)
def test_a_condition_that_leaves_nothing_to_another(first: Any, second: Any) -> None:
    assert related(first, second) == (False, True)
    assert related(second, first) == (False, False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"stream": True}, {"tenant": "acme"}),
        ({"tenant": ["a", "b"]}, {"tenant": ["b", "c"]}),
        ({"tenant": "gold-*"}, {"tenant": "*-eu"}),
        ({"model": "sm*"}, {"model": ["small", "large"]}),
        ({"header": {"x-a": "1"}}, {"header": {"x-b": "1"}}),
        ({"tokens": {"below": 100}}, {"tokens": {"above": 98}}),
    ],
)
def test_conditions_that_some_requests_meet_both_of(first: Any, second: Any) -> None:
    assert related(first, second) == (False, False)
    assert related(second, first) == (False, False)


ONE = "  - stage: failover\n    targets: [{model: small}]\n    when: "


@pytest.mark.parametrize(
    ("first", "second", "warnings"),
    [
        ("{stream: true}", "{stream: false}", []),
        (
            "{stream: true}",
            "{tools: true}",
            ["requests that this and `failover` of pipeline[0] are for go by that one."],
        ),
        (
            "{stream: true}",
            "{stream: true, tools: true}",
            ["this is never used: `failover` of pipeline[0] takes every such request."],
        ),
    ],
)
def test_failover_stages_for_the_same_requests_are_warned_of(
    first: str, second: str, warnings: list[str], tmp_path: Path
) -> None:
    text = f"pipeline:\n{ONE}{first}\n{ONE}{second}\n"
    found = load(tmp_path, default=text).warnings
    assert [each.text.removeprefix("pipeline[1].when: ") for each in found] == warnings
