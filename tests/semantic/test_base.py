"""What every kind of embedder shares, and the kind that is none."""

from pathlib import Path

import pytest

from gateway.semantic.base import EmbedderConfig, NoEmbedder
from tests.fakes.runtime import make_runtime


def test_none_is_no_embedder_and_always_usable() -> None:
    config = NoEmbedder()
    assert not config.unusable()
    assert not list(config.check())
    assert config.build(make_runtime(), Path(), {}) is None


def test_a_kind_must_say_how_it_is_built() -> None:
    with pytest.raises(NotImplementedError):
        EmbedderConfig().build(make_runtime(), Path(), {})
