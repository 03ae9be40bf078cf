"""What `turnout check` says of limits that cannot work with these models and tenants."""

from typing import Any

from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.limits import LimitRule
from gateway.stages.names import Names
from gateway.stages.rate_limit import RateLimitPolicy
from gateway.stages.when import When
from tests.fakes.limited import ALICE

PRICED = Model(provider="p", name="priced", price=Price(input=10, output=100))
NAMES = Names(
    catalogue=Catalogue(
        models={"priced": PRICED, "plain": Model(provider="p", name="plain")},
        aliases={"default": "plain"},
    ),
    tenants={"alice": ALICE},
)


def said(*limits: dict[str, Any], names: Names = NAMES, **policy: Any) -> list[str]:
    block = RateLimitPolicy(limits=tuple(LimitRule(**limit) for limit in limits), **policy)
    return [
        f"{problem.severity} {'.'.join(map(str, problem.path))}: {problem.what}"
        for problem in block.check(names)
    ]


def test_a_sensible_block_has_no_problem() -> None:
    assert said({"requests": 5, "every": "1m"}, {"tokens": 9, "each": "day"}) == []


def test_what_a_rule_says_wrongly_is_told_with_its_place() -> None:
    assert said({"requests": 5, "every": "often"})[0].startswith("error limits.0.every: this must")


def test_limits_that_not_even_the_shortest_request_passes_are_errors() -> None:
    assert said(
        {"tokens": 5, "every": "1m"},
        {"input_tokens": 50, "every": "1m", "burst": 4},
        {"cost": 0.0001, "each": "day"},
        default_price=Price(input=20, output=200),
    ) == [
        ("error limits.0.tokens: no request can pass: the shortest message counts 6 tokens."),
        ("error limits.1.burst: no request can pass: the shortest message counts 5 input tokens."),
        "error limits.2.cost: no request can pass: the shortest request needs $0.00015.",
    ]


def test_models_without_a_price_are_told_where_dollars_count() -> None:
    money = {"cost": 5.0, "each": "day"}
    assert said(money) == [
        (
            "warning limits.0.cost: refuses `plain`, which has no price. Give one in models.yaml, "
            "or state a `default_price` here."
        )
    ]
    assert said(money, default_price=Price(input=1, output=1)) == []
    assert said(money, when=When(model="priced")) == []
    assert len(said(money, when=When(model="default"))) == 1


def test_a_tenants_own_limits_are_looked_at_too() -> None:
    alice = replace(ALICE, limits=(LimitRule(cost=5.0, each="day"),))
    names = replace(NAMES, tenants={"alice": alice})
    assert said(names=names)[0].startswith("warning : refuses `plain`, which has no price.")


def test_a_block_that_limits_nothing_is_a_warning() -> None:
    assert said() == ["warning : limits nothing: it has no `limits`, and no tenant here has any."]
    assert said(names=replace(NAMES, tenants=None)) == []


def test_a_label_that_nobody_who_comes_here_has_is_a_warning() -> None:
    alice = replace(ALICE, labels={"team": "ml"})
    names = replace(NAMES, tenants={"alice": alice, "bob": replace(ALICE, policy="other")})
    by = {"requests": 5, "every": "1m"}
    assert said({**by, "per": ["label:team"]}, names=names) == []
    assert said({**by, "per": ["tenant", "label:taem"]}, names=names) == [
        (
            "warning limits.0.per.1: no tenant that comes here has this label, so those whose keys"
            " do not bring it share one count. Did you mean `label:team`?"
        )
    ]
    assert said({**by, "per": ["label:taem"]}, names=replace(NAMES, tenants=None)) == []
