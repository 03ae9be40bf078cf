"""What a policy may refer to."""

from gateway.core.catalogue import Catalogue, Model
from gateway.stages.names import Names


def test_models_and_aliases_can_be_asked_for() -> None:
    catalogue = Catalogue(models={"a": Model(provider="p")}, aliases={"b": "a"})
    assert list(Names(catalogue=catalogue).models) == ["a", "b"]
