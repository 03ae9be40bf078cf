"""Both folders become one valid whole, or all their problems."""

import shutil
from pathlib import Path

import pytest

from gateway.documents import Invalid
from gateway.policy.setup import load_setup

ROOT = Path(__file__).parents[2]
SIMULATED = "providers: {simulated: {kind: simulated}}\n"
DEMO = "models: {demo: {provider: simulated, upstream: invented}}\naliases: {default: demo}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/gateway.yaml").write_text(SIMULATED)
    (tmp_path / "config/models.yaml").write_text(DEMO)
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    return tmp_path


def said(home: Path, **addresses: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        load_setup(home / "config", home / "policies", {}, addresses)
    return [line.removeprefix(f"{home}/") for line in str(caught.value).splitlines()]


def test_models_carry_their_names(home: Path) -> None:
    model = load_setup(home / "config", home / "policies", {}).catalogue.find("default").model
    assert (model.name, model.upstream_name) == ("demo", "invented")


def test_the_command_line_wins_over_the_file(home: Path) -> None:
    addresses = {"listen": "127.0.0.1:1", "admin": "[::1]:2"}
    settings = load_setup(home / "config", home / "policies", {}, addresses).settings
    assert (settings.listen, settings.admin) == ("127.0.0.1:1", "[::1]:2")


def test_a_public_address_from_the_command_line_is_refused_in_its_name(home: Path) -> None:
    (problem,) = said(home, listen="0.0.0.0:80")
    assert problem.startswith("--listen: 0.0.0.0:80 can be reached from other machines")


def test_problems_of_every_file_come_together(home: Path) -> None:
    (home / "config/gateway.yaml").write_text("listn: x\n")
    (home / "config/models.yaml").write_text("models: {a: {provider: b}}\naliases: {c: d}\n")
    (home / "policies/default.yaml").unlink()
    assert [problem.partition(": ")[0] for problem in said(home)] == [
        "config/gateway.yaml:1",
        "config/models.yaml:2",
        "policies",
    ]


def test_a_model_that_does_not_fit_is_not_missed_by_those_who_name_it(home: Path) -> None:
    """The first pass says all, and nothing that only seems wrong because of the rest."""
    models = "models:\n  a: {provider: simulted, tier: x}\n  b: {price: 3}\naliases: {c: d, e: b}\n"
    (home / "config/models.yaml").write_text(models)
    policy = "pipeline: [{stage: relay, when: {model: [a, b, e, f]}}]\n"
    (home / "policies/default.yaml").write_text(policy)
    assert [problem.partition(": ")[2].partition(":")[0] for problem in said(home)] == [
        "models.a.provider",
        "models.a.tier",
        "models.b.price",
        "models.b",
        "aliases.c",
        "pipeline[0].when.model[3]",
    ]


@pytest.mark.parametrize("broken", ["models: [", "modls: {}", "models: 3"])
def test_a_catalogue_that_cannot_be_read_is_not_blamed_on_policies(home: Path, broken: str) -> None:
    (home / "config/models.yaml").write_text(broken)
    policy = "pipeline: [{stage: relay, when: {model: a}, mode: quick}]\n"
    (home / "policies/default.yaml").write_text(policy)
    files = {problem.partition(":")[0] for problem in said(home) if "default" not in problem}
    assert files == {"config/models.yaml"}
    assert [problem for problem in said(home) if "mode: there is no such value" in problem]


def test_providers_and_keys_that_cannot_be_told_are_not_missed(home: Path) -> None:
    (home / "config/gateway.yaml").write_text("provders: {simulated: {kind: simulated}}\n")
    (home / "policies/other.yaml").write_text("pipeline: [{stage: relay, when: {tenant: x}}]\n")
    (problem,) = said(home)
    assert "provders: there is no such field" in problem


def test_missing_files_say_so(home: Path) -> None:
    shutil.rmtree(home / "config")
    assert said(home)[:2] == [
        "config/gateway.yaml: cannot be read: No such file or directory.",
        "config/models.yaml: cannot be read: No such file or directory.",
    ]


def test_the_containers_configuration_asks_for_a_key_and_loads_with_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for name in ("container/gateway.yaml", "models.yaml"):
        (tmp_path / Path(name).name).write_text((root / "config" / name).read_text())
    setup = load_setup(tmp_path, root / "policies", {"TURNOUT_KEY": "a-key-of-some-length"})
    assert setup.settings.listen == "0.0.0.0:8080"
    assert "simulated/demo" in setup.catalogue.served()
    with pytest.raises(Invalid, match="TURNOUT_KEY"):
        load_setup(tmp_path, root / "policies", {})


UNSENDABLE = """\
providers:
  simulated:
    kind: simulated
  acme:
    kind: openai
    base_url: http://127.0.0.1:99999/v1
    headers:
      x-good: fine
      "bad name": x
      content-length: "3"
      x-umlaut: schlüssel
  claude:
    kind: anthropic
    api_key: env:UPKEY
"""


def test_what_cannot_be_sent_to_a_provider_is_found_before_anything_starts(home: Path) -> None:
    """A header or an address that only fails when it is used fails in every worker, for ever."""
    (home / "config/gateway.yaml").write_text(UNSENDABLE)
    places = [problem.partition(" ")[0] for problem in said(home)]
    assert places == [
        "config/gateway.yaml:6:",
        "config/gateway.yaml:9:",
        "config/gateway.yaml:10:",
        "config/gateway.yaml:11:",
    ]


def test_a_key_that_cannot_be_sent_is_found_before_anything_starts(home: Path) -> None:
    (home / "config/gateway.yaml").write_text(UNSENDABLE)
    with pytest.raises(Invalid) as caught:
        load_setup(home / "config", home / "policies", {"UPKEY": "ab\nc"})
    lines = str(caught.value).splitlines()
    problem = lines[-1].removeprefix(f"{home}/")
    assert problem.startswith("config/gateway.yaml:14: providers.claude.api_key: env:UPKEY holds")
    assert "ab" not in problem.partition("holds")[2].replace("visible", "")


def test_who_wants_similar_questions_and_has_no_embedder_is_warned(home: Path) -> None:
    gateway, policy = home / "config/gateway.yaml", home / "policies/default.yaml"
    policy.write_text("pipeline:\n  - stage: semantic_cache\n    semantic: {}\n")
    gateway.write_text(gateway.read_text() + "\nembedder: {kind: none}\n")
    setup = load_setup(home / "config", home / "policies", {})
    (warning,) = setup.rules.warnings
    assert (warning.line, "without an embedder" in warning.text) == (3, True)
