"""The seam of every store's configuration."""

from pathlib import Path

import pytest

from gateway.state.base import StateConfig
from tests.fakes.runtime import make_runtime


def test_a_kind_says_how_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        StateConfig().open(make_runtime(), tmp_path)
