"""Tenants: what a name in tenants.yaml may refer to, and who is there without the file."""

from pathlib import Path

from gateway.core.catalogue import Catalogue, Model
from gateway.documents import load_document
from gateway.policy.tenants import Known, Tenant, callers_of, check_tenants

CATALOGUE = Catalogue(
    models={name: Model(provider="p", name=name) for name in ("gpt-4o", "gpt-4o-mini", "llama")},
    aliases={"cheap": "gpt-4o-mini", "smart": "gpt-4o"},
)
KNOWN = Known(catalogue=CATALOGUE, keys=("alice",))


def said(tmp_path: Path, tenants: dict[str, Tenant], known: Known = KNOWN) -> list[str]:
    path = tmp_path / "tenants.yaml"
    path.write_text("")
    document = load_document(path, {})
    check_tenants(document, tenants, known, {"default", "research"})
    return [str(problem).removeprefix(f"{path}:1: ") for problem in document.problems]


def test_policies_and_models_must_exist(tmp_path: Path) -> None:
    tenants = {"alice": Tenant(policy="reserch", models=("gpt-4", "gpt-4*", "cheap", "x*"))}
    assert said(tmp_path, tenants) == [
        "tenants.alice.policy: there is no such policy. Did you mean `research`?",
        "tenants.alice.models[0]: there is no such model. Did you mean `gpt-4o`?",
        (
            "tenants.alice.models[3]: there is no such model. Known: `cheap`, `gpt-4o`, "
            "`gpt-4o-mini`, `llama`, `smart`."
        ),
    ]


def test_a_key_without_its_tenant_is_a_warning_so_that_a_tenant_can_be_removed_at_once(
    tmp_path: Path,
) -> None:
    assert said(tmp_path, {"alicia": Tenant()}) == [
        (
            "warning: tenants: gateway.yaml has a key of `alice`, who is not here: it is refused "
            "with 401. Did you mean `alicia`?"
        )
    ]


def test_a_model_brings_its_aliases_and_an_alias_brings_itself() -> None:
    def allowed(*models: str) -> frozenset[str] | None:
        return callers_of({"alice": Tenant(models=models)}, KNOWN)["alice"].models

    assert allowed("gpt-4o-mini") == frozenset({"gpt-4o-mini", "cheap"})
    assert allowed("cheap") == frozenset({"cheap"})
    assert allowed("gpt-4o*") == frozenset({"gpt-4o", "gpt-4o-mini", "cheap", "smart"})
    assert allowed("*") == frozenset({*CATALOGUE.models, *CATALOGUE.aliases})


def test_only_an_alias_that_is_written_out_leads_anywhere() -> None:
    def may(*models: str) -> bool:
        caller = callers_of({"alice": Tenant(models=models)}, KNOWN)["alice"]
        return caller.may_be_served_by("gpt-4o", "cheap")

    assert may("cheap")
    assert may("gpt-4o-mini", "cheap")
    assert not may("gpt-4o-mini")
    assert may("gpt-4o")


def test_without_any_key_everybody_is_local_and_may_be_given_a_policy() -> None:
    known = Known(catalogue=CATALOGUE)
    assert list(callers_of(None, known)) == ["local"]
    assert callers_of({"local": Tenant(policy="research")}, known)["local"].policy == "research"
    assert "local" not in callers_of(None, KNOWN)
    assert callers_of(None, Known(catalogue=CATALOGUE, key_required=True)) == {}
