"""Policies are read all or nothing, and always end in an answer."""

from pathlib import Path

import pytest

from gateway.core.catalogue import Catalogue, Model
from gateway.documents import Invalid
from gateway.policy.load import Rules, load_rules
from gateway.policy.tenants import Known
from gateway.stages.relay import RelayPolicy
from gateway.stages.when import When

CATALOGUE = Catalogue(
    models={name: Model(provider="p", name=name) for name in ("gpt-4o", "small")},
    aliases={"cheap": "small"},
)


def load(tmp_path: Path, *keys: str, **files: str) -> Rules:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return load_rules(tmp_path, Known(catalogue=CATALOGUE, keys=keys, providers=()), {})


def problems(tmp_path: Path, *keys: str, **files: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        load(tmp_path, *keys, **files)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def warnings(rules: Rules) -> list[str]:
    return [problem.text for problem in rules.warnings]


def test_relay_is_added_where_it_is_missing(tmp_path: Path) -> None:
    assert load(tmp_path, default="pipeline: []\n").policies["default"].pipeline == (RelayPolicy(),)


def test_a_relay_that_is_there_is_kept(tmp_path: Path) -> None:
    rules = load(tmp_path, default="pipeline: [{stage: relay, mode: buffered}]\n")
    assert rules.policies["default"].pipeline == (RelayPolicy(mode="buffered"),)


def test_a_relay_that_only_sometimes_answers_is_followed_by_one_that_always_does(
    tmp_path: Path,
) -> None:
    text = "pipeline: [{stage: relay, mode: buffered, when: {stream: false}}]\n"
    assert load(tmp_path, default=text).policies["default"].pipeline == (
        RelayPolicy(mode="buffered", when=When(stream=False)),
        RelayPolicy(),
    )


def test_nothing_may_follow_a_stage_that_always_answers(tmp_path: Path) -> None:
    text = "pipeline:\n  - stage: relay\n  - stage: relay\n    mode: replay\n"
    assert problems(tmp_path, default=text) == [
        (
            "default.yaml:3: pipeline[1]: `relay` is never reached: the stage above answers every "
            "request. Move it up, or give that one a `when`."
        )
    ]


def test_of_two_failover_stages_the_second_must_be_left_something(tmp_path: Path) -> None:
    one = "  - stage: failover\n    targets: [{model: small}]\n"
    what = (
        "default.yaml:4: pipeline[1]: `failover` is never used: the one above takes every request."
        " Leave one out, or give that one a `when`."
    )
    assert problems(tmp_path, default=f"pipeline:\n{one}{one}") == [what]
    some = f"{one}    when: {{stream: true}}\n"
    assert len(load(tmp_path, default=f"pipeline:\n{some}{one}").policies["default"].pipeline) == 3


def test_a_policy_is_called_as_it_says_or_else_as_its_file(tmp_path: Path) -> None:
    rules = load(
        tmp_path, default="pipeline: []\n", research="pipeline: []\n", other="name: bulk\n"
    )
    assert list(rules.policies) == ["default", "bulk", "research"]


def test_without_a_default_nothing_is_loaded(tmp_path: Path) -> None:
    (what,) = problems(tmp_path, other="pipeline: []\n")
    assert "there is no default.yaml" in what
    with pytest.raises(Invalid, match=r"there is no default.yaml"):
        load(tmp_path / "nowhere")


def test_a_file_that_only_looks_as_if_it_were_read_is_refused(tmp_path: Path) -> None:
    """A tenants.yml that nobody reads would let every key use everything."""
    (tmp_path / "tenants.yml").write_text("tenants: {}\n")
    assert problems(tmp_path, default="pipeline: []\n") == [
        "tenants.yml: no file of this ending is read. Rename it to tenants.yaml."
    ]


def test_an_emptied_policy_is_refused_and_not_taken_for_one_without_limits(tmp_path: Path) -> None:
    for text in ("", "# all of it is commented out\n", "{}\n"):
        (said,) = problems(tmp_path, default=text)
        assert said == "default.yaml:1: is empty. Write `pipeline: []` if nothing is to happen."


def test_a_file_in_a_folder_is_refused_and_an_editors_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".default.yaml").write_text("not: [a policy\n")
    assert set(load(tmp_path, default="pipeline: []\n").policies) == {"default"}
    (tmp_path / "team").mkdir()
    (tmp_path / "team/x.yaml").write_text("pipeline: []\n")
    (said,) = problems(tmp_path)
    assert said.startswith("team/x.yaml: no file of a folder in ")


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        default="a: [\n",
        other="pipline: []\n",
        third="pipeline: []\n",
        tenants="tenants: 3\n",
    )
    assert [line.partition(":")[0] for line in said] == [
        "default.yaml",
        "other.yaml",
        "tenants.yaml",
    ]


def test_without_a_file_everyone_with_a_key_is_a_plain_tenant(tmp_path: Path) -> None:
    callers = load(tmp_path, "alice", "bob", default="pipeline: []\n").callers
    assert list(callers) == ["alice", "bob"]
    assert callers["alice"].policy == "default"
    assert callers["alice"].models is None


def test_a_tenant_brings_its_policy_labels_models_and_priority(tmp_path: Path) -> None:
    tenants = (
        "tenants:\n  alice:\n    policy: research\n    labels: {team: ml}\n"
        "    models: [small]\n    priority: high\n"
    )
    alice = load(
        tmp_path, "alice", default="pipeline: []\n", research="pipeline: []\n", tenants=tenants
    ).callers["alice"]
    assert (alice.policy, alice.priority, alice.labels) == ("research", "high", {"team": "ml"})
    assert alice.models == frozenset({"small", "cheap"})


def test_a_policy_that_no_tenant_uses_is_a_warning(tmp_path: Path) -> None:
    rules = load(tmp_path, default="pipeline: []\n", research="pipeline: []\n")
    assert warnings(rules) == [
        "no tenant uses the policy `research`. Name it in tenants.yaml, or remove the file."
    ]


def test_a_policy_is_not_called_unused_when_a_tenants_policy_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "default.yaml").write_text("pipeline: []\n")
    labelled = "pipeline: [{stage: relay, when: {labels: {team: ml}}}]\n"
    (tmp_path / "research.yaml").write_text(labelled)
    (tmp_path / "tenants.yaml").write_text("tenants: {bob: {policy: reserch}}\n")
    with pytest.raises(Invalid) as caught:
        load(tmp_path)
    assert [problem.severity for problem in caught.value.problems] == ["error"]


def test_a_condition_is_checked_against_the_tenants_of_its_policy(tmp_path: Path) -> None:
    policy = "pipeline: [{stage: relay, when: {tenant: [alise, bob, alice]}}]\n"
    rules = load(
        tmp_path,
        "alice",
        "bob",
        default="pipeline: []\n",
        research=policy,
        tenants="tenants: {alice: {policy: research}, bob: {}}\n",
    )
    assert warnings(rules) == [
        "pipeline[0].when.tenant[0]: there is no tenant `alise`. Did you mean `alice`?",
        "pipeline[0].when.tenant[1]: never holds here: `bob` uses the policy `default`.",
    ]


def test_one_typo_in_a_file_hides_nothing_else_in_it_nor_blames_other_files(tmp_path: Path) -> None:
    """Who mends all that is said must not be told of more the next time."""
    policy = (
        "pipline: []\npipeline:\n  - stage: rate_limit\n    enforse: true\n"
        "    limits:\n      - {requests: 5}\n      - {tokens: 3, every: 1m}\n"
        "  - {stage: relay, when: {model: gpt-4}}\n  - stage: relay\n"
        "  - {stage: relay, mode: quick}\n"
    )
    tenants = (
        "on_revok: cut\ntenants:\n  alice: {polcy: other}\n"
        "  bob: {policy: othr, models: [smal], limits: [{tokens: 5, each: day}]}\n"
    )
    said = problems(tmp_path, "alice", default="pipeline: []\n", other=policy, tenants=tenants)
    assert [line.partition(": ")[2].partition(":")[0] for line in said] == [
        "pipline",
        "pipeline[0].enforse",
        "pipeline[0].limits[0]",
        "pipeline[0].limits[1].tokens",
        "pipeline[1].when.model",
        "pipeline[3].mode",
        "on_revok",
        "tenants.alice.polcy",
        "tenants.bob.limits[0].tokens",
        "tenants.bob.models[0]",
        "tenants.bob.policy",
    ]


def test_a_block_that_lost_its_condition_is_not_said_to_hide_the_next(tmp_path: Path) -> None:
    policy = "pipeline: [{stage: relay, when: stream}, {stage: relay}]\n"
    (said,) = problems(tmp_path, default=policy)
    assert "pipeline[0].when: this must be a mapping" in said


def test_bad_tenants_are_not_blamed_on_policies(tmp_path: Path) -> None:
    policy = "pipeline: [{stage: relay, when: {tenant: alice}}]\n"
    said = problems(
        tmp_path, "alice", default=policy, other="pipeline: []\n", tenants="tenants: {a: {x: 1}}\n"
    )
    assert len(said) == 1
    assert said[0].startswith("tenants.yaml:1: tenants.a.x: there is no such field.")


def test_the_tests_of_a_policy_are_kept_for_the_check(tmp_path: Path) -> None:
    text = "tests: [{name: it works, given: {request: {model: small}}, expect: {status: 200}}]\n"
    (trial,) = load(tmp_path, default=text).trials
    assert (trial.policy, trial.index, trial.case.name) == ("default", 0, "it works")


def test_limits_of_a_tenant_that_nothing_counts_are_a_warning(tmp_path: Path) -> None:
    tenants = "tenants: {alice: {limits: [{requests: 5, every: 1m}]}, bob: {}}\n"
    assert warnings(load(tmp_path, default="pipeline: []\n", tenants=tenants)) == [
        "tenants.alice.limits: nothing counts them: the policy `default` has no `rate_limit` stage."
    ]
    counts = "pipeline: [{stage: rate_limit}]\n"
    assert warnings(load(tmp_path, default=counts, tenants=tenants)) == []
    assert "limits nothing" in warnings(load(tmp_path, default=counts, tenants="tenants: {}"))[0]


def test_limits_of_a_tenant_are_checked_like_those_of_a_policy(tmp_path: Path) -> None:
    tenants = "tenants: {alice: {limits: [{requests: 5, every: often}, {cost: 1}]}}\n"
    said = problems(tmp_path, default="pipeline: [{stage: rate_limit}]\n", tenants=tenants)
    assert [line.partition(": ")[2].partition(":")[0] for line in said] == [
        "tenants.alice.limits[0].every",
        "tenants.alice.limits[1]",
    ]


def test_what_it_means_to_record_is_said_and_names_are_checked(tmp_path: Path) -> None:
    rules = load(tmp_path, "alice", default="record: {tenant: [alice, bop]}\n")
    said = warnings(rules)
    assert said == [
        "record.tenant[1]: there is no tenant `bop`. Known: `alice`.",
        (
            "record: requests of alice, bop are written to the data directory in full, for 7 days."
            " Remove it unless those people know."
        ),
    ]
    assert rules.policies["default"].record is not None
    assert load(tmp_path, "alice", default="pipeline: []\n").policies["default"].record is None
