"""A condition that can never hold is found before it is deployed."""

import pytest

from gateway.core.catalogue import Catalogue, Model
from gateway.core.exchange import Caller
from gateway.policy.reach import check_when
from gateway.stages.names import Names
from gateway.stages.when import Range, When

CATALOGUE = Catalogue(
    models={
        "plain": Model(provider="p", name="plain", context=1_000, capabilities=frozenset()),
        "able": Model(
            provider="p", name="able", capabilities=frozenset({"tools", "vision"}), context=9_000
        ),
        "vectors": Model(provider="p", name="vectors", endpoints=("embeddings",)),
    },
    aliases={"default": "plain"},
)
TENANTS = {
    "alice": Caller(tenant="alice", labels={"team": "research"}),
    "bob": Caller(tenant="bob", policy="other", labels={"team": "ops"}),
}
NAMES = Names(catalogue=CATALOGUE, tenants=TENANTS)


def said(when: When, names: Names = NAMES) -> list[str]:
    return [
        f"{problem.severity} {'.'.join(map(str, problem.path))}: {problem.what}"
        for problem in check_when(when, names)
    ]


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        (
            When(header={"authorization": "*"}),
            (
                "error header.authorization: a policy never sees credentials. Use `tenant` or "
                "`labels`."
            ),
        ),
        (
            When(header={"x-goog-api-key": "*"}),
            (
                "error header.x-goog-api-key: a policy never sees credentials. Use `tenant` or "
                "`labels`."
            ),
        ),
        (
            When(header={"X-Team": "*"}),
            "error header.X-Team: header names stand in lower case here: `x-team`.",
        ),
        (
            When(tokens=Range(above=10, below=11)),
            "error tokens: this never holds: no number is above 10 and below 11.",
        ),
        (
            When(tokens=Range(below=0)),
            "error tokens: this never holds: no number is above -1 and below 0.",
        ),
        (
            When(endpoint=("embeddings", "count_tokens"), stream=True),
            "error stream: this never holds: count_tokens or embeddings does not stream.",
        ),
        (
            When(endpoint="completions", tools=True, model="able"),
            "error tools: this never holds: a request to completions brings none.",
        ),
        (
            When(model="defualt"),
            "error model: there is no such model. Did you mean `default`?",
        ),
        (When(model=("able", "x-*")), "error model.1: this never holds: no model has such a name."),
        (
            When(tenant="alise"),
            "warning tenant: there is no tenant `alise`. Did you mean `alice`?",
        ),
        (
            When(tenant=("alice", "bob")),
            "warning tenant.1: never holds here: `bob` uses the policy `other`.",
        ),
        (
            When(labels={"team": "reserch"}),
            (
                "warning labels.team: only keys can bring it: no tenant that comes here has such "
                "a label. Did you mean `research`?"
            ),
        ),
        (
            When(labels={"floor": "3"}),
            (
                "warning labels.floor: only keys can bring it: no tenant that comes here has such "
                "a label. Known: `team`."
            ),
        ),
        (
            When(model=("able", "plain"), tools=True),
            "warning tools: this admits plain, which cannot take tools, says models.yaml.",
        ),
        (
            When(model="default", image=True),
            "warning image: no model that this admits can see pictures, says models.yaml.",
        ),
        (
            When(tokens=Range(above=5_000), model=("plain", "able")),
            (
                "warning tokens: this admits plain, which cannot hold more than 5000 tokens, says "
                "models.yaml."
            ),
        ),
        (
            When(endpoint="completions"),
            "warning endpoint: no model that this admits can serve completions, says models.yaml.",
        ),
    ],
)
def test_what_cannot_hold_is_said(when: When, problem: str) -> None:
    assert problem in said(when)


@pytest.mark.parametrize(
    "when",
    [
        When(),
        When(tenant="a*", labels={"team": "res*"}),
        When(model=("default", "pl*"), tokens=Range(above=10, below=12)),
        When(tools=True, image=True),
        When(endpoint=("chat", "embeddings"), stream=True),
        When(endpoint="count_tokens", tools=True),
        When(header={"x-keyboard": "*"}),
    ],
)
def test_what_can_hold_is_left_alone(when: When) -> None:
    assert said(when) == []


def test_tenants_that_could_not_be_read_are_not_missed() -> None:
    names = Names(catalogue=CATALOGUE, tenants=None)
    assert said(When(tenant="alise", labels={"a": "b"}), names) == []
