"""`turnout check` on a router: names that lead nowhere, and what cannot be meant."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue
from gateway.stages.names import Names
from tests.fakes.routed import ALIASES, CATALOGUE, MODELS, policy

FAST = {"name": "fast", "model": "mini"}
SLOW = {"name": "slow", "model": "sonnet"}
HALVES = {"shares": [0.5, 0.5]}
TWO: dict[str, Any] = {"tiers": [FAST, SLOW], "target": HALVES}
RULE = {"name": "r", "contains": "x", "tier": "fast"}


def said(catalogue: Catalogue = CATALOGUE, **fields: Any) -> list[str]:
    problems = policy(**fields).check(Names(catalogue=catalogue))
    return [
        f"{problem.severity} {'.'.join(map(str, problem.path))}: {problem.what}"
        for problem in problems
    ]


def test_what_is_right_is_said_nothing_of() -> None:
    assert said() == said(**TWO) == []
    assert said(aliases={"smart": "auto"}, rules=[RULE], fallback="fast") == []


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (
            {"tiers": [FAST, {"name": "slow", "model": "sonet"}], "target": HALVES},
            "error tiers.1.model: there is no such model. Did you mean `sonnet`?",
        ),
        (
            {"tiers": [{"name": "auto", "model": "mini"}, SLOW], "target": HALVES},
            "error tiers.0.name: `auto` is no tier: it means any of them.",
        ),
        (
            {"tiers": [FAST, {**SLOW, "name": "fast"}], "target": HALVES},
            "error tiers.1.name: another tier has this name.",
        ),
        (
            {"tiers": [FAST, {"name": "slow", "model": "turnout/fast"}], "target": HALVES},
            "error tiers.1.model: this is the model of tiers[0].",
        ),
        (
            {"tiers": [FAST, {"name": "v", "model": "vectors"}], "target": {"cost_per_1k": 1}},
            "error tiers.1.model: `cost_per_1k` needs a price of `vectors`. Add it in models.yaml.",
        ),
        (
            {"target": {"shares": [0.5, 0.5]}},
            "error target.shares: there are 3 tiers, so 3 shares are needed.",
        ),
        (
            {"target": {"min_quality": 0.9}},
            "warning target.min_quality: nothing is known of the tiers' quality yet, so the rules",
        ),
        (
            {"tiers": [SLOW, FAST], "target": HALVES},
            "warning tiers.1: `mini` is cheaper than `sonnet`, the tier below it.",
        ),
        (
            {"aliases": {"smart": "compelx"}},
            "error aliases.smart: there is no such tier. Did you mean `complex`?",
        ),
        (
            {"aliases": {"clever": "auto"}},
            "error aliases.clever: models.yaml has no such alias. Add `clever: sonnet` to its `al",
        ),
        ({"rules": [RULE, RULE]}, "error rules.1.name: another rule has this name."),
        (
            {"rules": [{**RULE, "tier": "fst"}]},
            "error rules.0.tier: there is no such tier. Did you mean `fast`?",
        ),
        ({"fallback": "non"}, "error fallback: there is no such tier."),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(fields: dict[str, Any], what: str) -> None:
    found = said(**fields)
    worst = [each for each in found if each.startswith("error")] or found
    assert len(worst) == 1
    assert worst[0].startswith(what)


def test_names_that_nobody_can_ask_for_are_an_error_with_the_cure() -> None:
    bare = Catalogue(models=MODELS)
    assert said(bare) == [
        "error : no request comes here. Add `turnout/auto: sonnet` to `aliases` in models.yaml."
    ]
    assert said(bare, reroute=True) == []


def test_an_alias_that_leads_elsewhere_without_this_stage_is_warned_of() -> None:
    aliases = {**ALIASES, "turnout/auto": "vectors"}
    (what,) = said(Catalogue(models=MODELS, aliases=aliases))
    assert what.startswith("warning tiers: `turnout/auto` leads to `vectors` in models.yaml")


def test_what_no_tier_can_do_is_warned_of() -> None:
    blind = {
        name: replace(each, capabilities=MODELS["mini"].capabilities)
        for name, each in MODELS.items()
    }
    catalogue = Catalogue(models=blind, aliases=ALIASES)
    assert said(catalogue) == ["warning tiers: no tier sees pictures: such requests are refused."]
    assert said(catalogue, when={"image": False}) == []
