"""One engine for all tests of a process: building it takes half a second."""

from pathlib import Path

import pytest

from gateway.semantic.minilm.engine import MiniLMEngine


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which the graph is built."""
    data = tmp_path_factory.mktemp("data")
    MiniLMEngine(data)
    return data


@pytest.fixture(scope="session")
def engine(built: Path) -> MiniLMEngine:
    return MiniLMEngine(built)
