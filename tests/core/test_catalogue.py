"""Finding a model by the name that a caller gives."""

import msgspec
import pytest

from gateway.core import wire
from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.errors import UnknownModel

CATALOGUE = Catalogue(
    models={
        "fast": Model(provider="p", name="fast", upstream="vendor/fast-1"),
        "slow": Model(provider="p", name="slow"),
        "closed": Model(provider="q", name="closed"),
    },
    aliases={"default": "fast", "gone": "closed", "broken": "nowhere"},
    unserved={"closed": "set SOME_KEY"},
)


def test_a_model_is_found_by_its_name_as_the_callers_choice() -> None:
    target = CATALOGUE.find("fast")
    assert target.model.upstream_name == "vendor/fast-1"
    assert not target.chosen


def test_a_model_without_an_upstream_name_keeps_its_own() -> None:
    assert CATALOGUE.find("slow").model.upstream_name == "slow"


def test_behind_an_alias_the_gateway_chose() -> None:
    target = CATALOGUE.find("default")
    assert target.model.name == "fast"
    assert target.chosen


@pytest.mark.parametrize("name", ["hunter2", "broken", ""])
def test_an_unknown_model_is_a_404_that_says_where_to_look(name: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.find(name)
    error = caught.value
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert "GET /v1/models" in error.public
    assert "hunter2" not in error.public


@pytest.mark.parametrize("name", ["closed", "gone"])
def test_a_model_that_is_not_served_says_why(name: str) -> None:
    with pytest.raises(UnknownModel, match="set SOME_KEY"):
        CATALOGUE.find(name)


def test_served_lists_models_then_aliases_but_nothing_that_would_fail() -> None:
    names = list(CATALOGUE.served())
    assert names[:3] == ["fast", "slow", "default"]
    assert "closed" not in names
    assert "gone" not in names


def test_an_entry_is_read_strictly() -> None:
    model = wire.decode_as(
        b'{"provider":"p","capabilities":["tools"],"price":{"input":1,"output":2}}', Model
    )
    assert list(model.capabilities or ()) == ["tools"]
    assert model.price == Price(input=1, output=2)
    for bad in (b'{"provider":"p","colour":1}', b'{"provider":"p","context":0}',
                b'{"provider":"p","price":{"input":-1,"output":2}}', b"{}"):  # fmt: skip
        with pytest.raises(ValueError, match="another shape"):
            wire.decode_as(bad, Model)


def test_entries_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        CATALOGUE.models["fast"].name = "x"  # type: ignore[misc]  # the point of the test
    assert msgspec.structs.asdict(CATALOGUE.models["fast"])["name"] == "fast"


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["fast"], {"fast", "default"}),
        (["default"], {"default"}),
        (["*s*"], {"fast", "slow", "closed", "default", "gone"}),
        (["d*"], set()),
        (["nobody"], {"nobody"}),
    ],
)
def test_a_model_brings_its_aliases_and_an_alias_only_itself(
    patterns: list[str], names: set[str]
) -> None:
    assert CATALOGUE.matching(patterns) == frozenset(names)
