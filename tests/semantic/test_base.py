"""What every kind of embedder shares, and the kind that is none."""

from pathlib import Path

import pytest

from gateway.semantic.base import EmbedderConfig, NoEmbedder, not_installed
from tests.fakes.runtime import make_runtime


def test_none_says_what_to_do_to_have_one() -> None:
    assert NoEmbedder().unusable() == "choose another `embedder:` than none in gateway.yaml"


def test_a_kind_must_say_how_it_is_built() -> None:
    assert not EmbedderConfig().unusable()
    with pytest.raises(NotImplementedError):
        EmbedderConfig().build(make_runtime(), Path(), {})


def test_what_is_not_installed_names_its_cure() -> None:
    assert not_installed((), "install it") == ""
    assert not_installed(("no_such_package",), "install it") == "install it"
