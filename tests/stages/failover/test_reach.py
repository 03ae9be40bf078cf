"""Each target can do what its stage admits."""

from typing import Any

from msgspec.structs import replace

from gateway.core.exchange import Caller
from tests.stages.failover.test_policy import NAMES, problems


def test_a_target_that_cannot_do_what_the_first_can_is_told() -> None:
    [(at, said, severity)] = problems({"model": "one"}, {"model": "plain"})
    assert (at, severity) == ("targets.1", "warning")
    assert said == (
        "`plain` cannot take tools or see pictures or keep to a JSON schema, says models.yaml: such"
        " requests skip it."
    )


def test_what_when_shuts_out_is_not_missed() -> None:
    [(_, said, _)] = problems(
        {"model": "one"}, {"model": "plain"}, when={"tools": False, "image": False}
    )
    assert said.startswith("`plain` cannot keep to a JSON schema, says")


def test_what_when_asks_for_must_be_able_everywhere() -> None:
    found = problems({"model": "plain"}, {"model": "three"}, when={"tools": True})
    assert [(at, severity) for at, _, severity in found] == [("targets.0", "warning")]
    found = problems({"model": "one"}, {"model": "three"}, when={"tokens": {"above": 2_000}})
    assert [said.split(",")[0] for _, said, _ in found] == [
        "`three` cannot hold more than 2000 tokens"
    ]


def test_a_fallback_for_long_prompts_holds_more() -> None:
    found = problems({"model": "one"}, on_context_window=[{"model": "three"}])
    assert [at for at, _, _ in found] == ["on_context_window.0"]
    assert not problems({"model": "one"}, on_context_window=[{"model": "two"}])


def test_targets_that_a_tenants_list_shuts_out_are_told() -> None:
    listed = Caller(tenant="bob", models=frozenset({"one"}))
    wide = Caller(tenant="al", models=frozenset({"default"}), aliases=frozenset({"default"}))
    names = replace(NAMES, tenants={"bob": listed, "al": wide})
    targets: Any = ({"model": "one"}, {"model": "three"})
    [(at, said, severity)] = problems(*targets, names=names)
    assert (at, severity) == ("targets.1", "warning")
    assert said == "`three` is not on the list of bob: such requests skip it."
    assert not problems(*targets, names=names, when={"tenant": "al"})
    assert not problems({"model": "one"}, {"model": "three", "tenants": ["al"]}, names=names)
