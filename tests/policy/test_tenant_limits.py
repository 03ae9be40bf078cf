"""The limits of tenants are checked as those of policies are, against what each of them may ask."""

from pathlib import Path

import pytest

from gateway.core.catalogue import Catalogue, Model, Price
from gateway.documents import Invalid
from gateway.policy.load import load_rules
from gateway.policy.tenants import Known

CHEAP, DEAR = Price(input=1, output=10), Price(input=100, output=1000)
KNOWN = Known(
    catalogue=Catalogue(
        models={
            "cheap": Model(provider="p", name="cheap", price=CHEAP),
            "dear": Model(provider="p", name="dear", price=DEAR),
            "plain": Model(provider="p", name="plain"),
        },
        aliases={"best": "dear"},
    ),
    keys=("alice",),
    providers=("p",),
)
COUNTS = "pipeline: [{stage: rate_limit}]\n"


def said(tmp_path: Path, tenant: str, policy: str = COUNTS) -> list[str]:
    (tmp_path / "default.yaml").write_text(policy)
    (tmp_path / "tenants.yaml").write_text(f"tenants:\n  alice: {tenant}\n")
    try:
        problems = load_rules(tmp_path, KNOWN, {}).warnings
    except Invalid as error:
        problems = error.problems
    found = [f"{p.severity} {p.text}" for p in problems if p.file.endswith("tenants.yaml")]
    return [text.replace("tenants.alice.limits", "") for text in found]


def test_a_tenants_limits_that_no_request_passes_are_errors(tmp_path: Path) -> None:
    limits = "{limits: [{tokens: 5, each: day}, {cost: 0.000001, each: day}]}"
    assert said(tmp_path, limits) == [
        "error [0].tokens: no request can pass: the shortest message counts 6 tokens.",
        "error [1].cost: no request can pass: the shortest request needs $0.000015.",
    ]


@pytest.mark.parametrize("limit", ["requests: 0, every: 1m", "requests: 5, every: 1m, burst: 0"])
def test_a_limit_of_nothing_is_an_error(tmp_path: Path, limit: str) -> None:
    (problem,) = said(tmp_path, f"{{limits: [{{{limit}}}]}}")
    assert problem.endswith("this must be a whole number >= 1.")


def test_what_counts_is_which_models_the_tenant_may_ask_for(tmp_path: Path) -> None:
    limits = "limits: [{cost: 0.001, each: day}]"
    assert said(tmp_path, f"{{models: [best], {limits}}}") == [
        "error [0].cost: no request can pass: the shortest request needs $0.0015."
    ]
    assert said(tmp_path, f"{{models: [cheap], {limits}}}") == []
    assert said(tmp_path, f"{{{limits}}}") == [
        "warning [0].cost: no request to `dear` can pass: the shortest needs $0.0015."
    ]


def test_a_model_without_a_price_counts_as_its_policy_says(tmp_path: Path) -> None:
    tenant = "{models: [plain], limits: [{cost: 0.001, each: day}]}"
    priced = COUNTS.replace("rate_limit", "rate_limit, default_price: {input: 500, output: 0}")
    assert said(tmp_path, tenant) == []
    assert said(tmp_path, tenant, priced) == [
        "error [0].cost: no request can pass: the shortest request needs $0.0025."
    ]


def test_a_label_that_the_tenant_does_not_have_is_a_warning(tmp_path: Path) -> None:
    tenant = '{{labels: {{team: ml}}, limits: [{{requests: 5, every: 1m, per: ["label:{}"]}}]}}'
    assert said(tmp_path, tenant.format("team")) == []
    assert said(tmp_path, tenant.format("taem")) == [
        (
            "warning [0].per[0]: no tenant that comes here has this label, so those whose keys do"
            " not bring it share one count. Did you mean `label:team`?"
        )
    ]


def test_limits_that_make_no_sense_do_not_hide_others(tmp_path: Path) -> None:
    limits = "[{requests: 5}, {tokens: 5, every: 1m}, {tokens: 9, every: often, per: [x]}]"
    assert [text.partition(":")[0] for text in said(tmp_path, f"{{limits: {limits}}}")] == [
        "error [0]",
        "error [1].tokens",
        "error [2].every",
        "error [2].per[0]",
    ]
