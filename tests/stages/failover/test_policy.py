"""`stage: failover` as it is written, and what `turnout check` says of it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.core.catalogue import Catalogue
from gateway.core.exchange import Caller
from gateway.stages import AnyStage
from gateway.stages.names import Names
from tests.fakes.failover import MODELS

NAMES = Names(
    catalogue=Catalogue(models=MODELS, aliases={"default": "one"}),
    tenants={"acme": Caller(tenant="acme")},
    providers=("a", "b", "c"),
)


def problems(*targets: Any, names: Names = NAMES, **fields: Any) -> Sequence[tuple[str, str, str]]:
    block = {"stage": "failover", "targets": list(targets), **fields}
    policy: Any = msgspec.convert(block, AnyStage)
    return [
        (".".join(map(str, each.path)), each.what, each.severity) for each in policy.check(names)
    ]


def test_a_right_one_has_no_problem() -> None:
    assert not problems(
        {"model": "default", "params": {"temperature": 0}},
        {"provider": "b"},
        {"model": "two", "tenants": ["acme", "a*"]},
        strategy="balanced",
        sticky=True,
    )


@pytest.mark.parametrize(
    ("target", "path", "what"),
    [
        ({"model": "ome"}, "targets.1.model", "there is no such model. Did you mean `one`?"),
        ({"provider": "x"}, "targets.1.provider", "there is no such provider."),
        (
            {"params": {"stream": True}},
            "targets.1.params.stream",
            "a target cannot change this: it is the request.",
        ),
        ({"tenants": ["acne"]}, "targets.1.tenants.0", "there is no tenant `acne`."),
        ({"model": "one"}, "targets.1", "this is the same target as targets[0]."),
    ],
)
def test_names_that_lead_nowhere_are_told(target: Any, path: str, what: str) -> None:
    [(at, said, _)] = problems({"model": "one"}, target)
    assert at == path
    assert said.startswith(what)


def test_sticky_is_for_strategies_that_spread() -> None:
    [(at, said, severity)] = problems({"model": "one"}, sticky=True)
    assert (at, severity) == ("sticky", "error")
    assert said.startswith("`ordered` needs no `sticky`")


@pytest.mark.parametrize(
    "fields", [{"attempts": 4}, {"targets": []}, {"strategy": "best"}, {"deadline": 0}, {"x": 1}]
)
def test_what_cannot_be_is_refused_when_it_is_read(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"stage": "failover", "targets": [{}], **fields}, AnyStage)
