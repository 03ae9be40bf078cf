"""What is served where."""

import json

import pytest

from gateway.core.catalogue import Catalogue, Model
from gateway.core.errors import NotFound, UnknownModel
from gateway.edge.routes import ModelPages, WrongMethod, check_method, find_route
from tests.fakes.service import CATALOGUE


@pytest.mark.parametrize(
    ("path", "template", "dialect"),
    [
        ("/v1/chat/completions", "/v1/chat/completions", "openai"),
        ("/v1/completions", "/v1/completions", "openai"),
        ("/v1/embeddings", "/v1/embeddings", "openai"),
        ("/v1/messages", "/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "/v1/messages/count_tokens", "anthropic"),
        ("/v1/models", "/v1/models", "openai"),
        ("/v1/models/org/large", "/v1/models/{id}", "openai"),
        ("/readyz", "/readyz", "openai"),
    ],
)
def test_a_path_leads_to_its_route(path: str, template: str, dialect: str) -> None:
    route = find_route(path)
    assert (route.template, route.dialect) == (template, dialect)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/v1/chat/completions/",
        "/v1/chat/%63ompletions",
        "/%2e%2e/v1/models",
        "/v1/%00",
        "/%zz",
        "/V1/models",
        "/metrics",
        "*",
    ],
)
def test_any_other_spelling_is_not_found(path: str) -> None:
    """D17."""
    with pytest.raises(NotFound):
        find_route(path)


def test_the_wrong_method_says_which_is_right() -> None:
    with pytest.raises(WrongMethod) as caught:
        check_method(find_route("/v1/messages"), "GET")
    assert caught.value.allow == "POST"
    with pytest.raises(WrongMethod) as caught:
        check_method(find_route("/v1/models"), "DELETE")
    assert caught.value.allow == "GET, HEAD"
    check_method(find_route("/livez"), "HEAD")


def test_models_are_listed_in_either_dialect_with_aliases() -> None:
    pages = ModelPages(CATALOGUE)
    openai = json.loads(pages.all("openai"))
    assert [m["id"] for m in openai["data"]] == ["small", "org/large", "fast"]
    assert openai["object"] == "list"
    assert openai["data"][0] == {
        "id": "small",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "acme",
    }
    anthropic = json.loads(pages.all("anthropic"))
    assert anthropic["first_id"] == "small"
    assert anthropic["last_id"] == "fast"
    assert anthropic["has_more"] is False
    assert anthropic["data"][0]["type"] == "model"


def test_what_fits_into_a_model_is_told_where_the_dialect_has_a_word_for_it() -> None:
    models = {
        "a": Model(provider="p", name="a", context=200_000, max_output=64_000),
        "b": Model(provider="p", name="b"),
    }
    told = json.loads(ModelPages(Catalogue(models=models, aliases={"c": "a"})).all("anthropic"))
    sizes = [(m["id"], m["max_input_tokens"], m["max_tokens"]) for m in told["data"]]
    assert sizes == [("a", 200_000, 64_000), ("b", None, None), ("c", 200_000, 64_000)]


def test_an_empty_catalogue_is_an_empty_list() -> None:
    pages = ModelPages(Catalogue(models={}))
    assert json.loads(pages.all("anthropic"))["first_id"] is None
    assert json.loads(pages.all("openai"))["data"] == []


@pytest.mark.parametrize("path", ["/v1/models/org/large", "/v1/models/org%2Flarge"])
def test_a_model_id_may_hold_slashes_plain_or_encoded(path: str) -> None:
    assert json.loads(ModelPages(CATALOGUE).one(path, "openai"))["id"] == "org/large"


def test_an_unknown_model_is_not_repeated() -> None:
    with pytest.raises(UnknownModel) as caught:
        ModelPages(CATALOGUE).one("/v1/models/secret-name", "anthropic")
    assert "secret-name" not in str(caught.value)
