"""Names must lead somewhere, and keys must be there and differ."""

from pathlib import Path

import pytest

from gateway.core.catalogue import Model, Price
from gateway.core.secret import Secret
from gateway.documents import Document, load_document
from gateway.policy.check import check_keys, check_models, check_pepper
from gateway.settings import Settings
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig


def document(tmp_path: Path) -> Document:
    path = tmp_path / "x.yaml"
    path.write_text("")
    return load_document(path, {})


def said(read: Document) -> list[str]:
    return [problem.text for problem in read.problems if problem.severity == "error"]


@pytest.mark.parametrize(("listen", "severity"), [("127.0.0.1:0", "warning"), (":0", "error")])
def test_a_key_that_can_be_guessed_is_told(tmp_path: Path, listen: str, severity: str) -> None:
    read = document(tmp_path)
    keys = {"alice": Secret("x" * 15, "env:ALICE"), "bob": Secret("x" * 16, "env:BOB")}
    check_keys(read, Settings(listen=listen, keys=keys))
    (problem,) = read.problems
    assert problem.severity == severity
    assert "env:ALICE has fewer than 16 characters" in problem.text


def test_keys_are_present_and_different(tmp_path: Path) -> None:
    read = document(tmp_path)
    keys = {
        "alice": Secret("one", "env:ALICE"),
        "bob": Secret("one", "env:BOB"),
        "carol": Secret(None, "env:CAROL"),
        "dave": Secret("two", "env:DAVE"),
        "erin": Secret(None, "file:/erin", "is empty"),
    }
    check_keys(read, Settings(keys=keys))
    assert said(read) == [
        "keys.bob: this is the same key as that of `alice`.",
        "keys.carol: env:CAROL is not set. Set it, or remove this line.",
        "keys.erin: file:/erin is empty. Mend it, or remove this line.",
    ]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (Secret(None, "env:TOKEN"), "env:TOKEN is not set. Set it, or remove this line."),
        (Secret("", "file:/t", "is empty"), "file:/t is empty. Mend it, or remove this line."),
    ],
)
def test_an_admin_token_that_is_not_there_is_told_with_its_reason(
    tmp_path: Path, token: Secret, words: str
) -> None:
    read = document(tmp_path)
    check_keys(read, Settings(admin_token=token))
    assert said(read) == [f"admin_token: {words}"]


def test_a_pepper_that_is_named_is_there(tmp_path: Path) -> None:
    read = document(tmp_path)
    check_pepper(read, Settings(pepper=Secret(None, "env:PEPPER")), SqliteConfig())
    assert said(read) == ["pepper: env:PEPPER is not set. Set it, or remove this line."]


def test_several_nodes_without_a_pepper_in_common_are_warned_of(tmp_path: Path) -> None:
    read = document(tmp_path)
    redis = RedisConfig(url=Secret("redis://here", "test"))
    check_pepper(read, Settings(pepper=Secret("a pepper", "test")), redis)
    check_pepper(read, Settings(), SqliteConfig())
    assert read.problems == []
    check_pepper(read, Settings(), redis)
    (problem,) = read.problems
    assert problem.severity == "warning"
    assert "Add `pepper: env:TURNOUT_PEPPER`, the same for every node." in problem.text


def test_models_and_aliases_lead_somewhere(tmp_path: Path) -> None:
    read = document(tmp_path)
    models = {"a": Model(provider="here"), "b": Model(provider="heer")}
    check_models(read, models, {"c": "a", "d": "aa", "b": "a"}, ["here"])
    assert said(read) == [
        "models.b.provider: gateway.yaml has no such provider. Did you mean `here`?",
        "aliases.d: there is no such model. Did you mean `a`?",
        "aliases.b: a model has this name already.",
    ]


def test_providers_that_could_not_be_read_are_not_blamed_on_models(tmp_path: Path) -> None:
    read = document(tmp_path)
    check_models(read, {"a": Model(provider="here")}, {}, None)
    assert said(read) == []


def test_a_model_without_a_price_is_a_warning(tmp_path: Path) -> None:
    read = document(tmp_path)
    priced = Model(provider="here", price=Price(input=1, output=2))
    check_models(read, {"a": Model(provider="here"), "b": priced}, {}, None)
    (problem,) = read.problems
    assert problem.severity == "warning"
    assert problem.text.startswith("models.a: has no price, so what it costs is unknown.")
