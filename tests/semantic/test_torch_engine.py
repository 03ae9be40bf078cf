"""Vectors by sentence-transformers. Runs where it is installed; CI does without torch."""

from typing import Any

import numpy as np
import pytest

from gateway.semantic.minilm.weights import find_folder

torch_engine = pytest.importorskip(
    "gateway.semantic.torch_engine",
    reason="sentence-transformers is not installed",
    exc_type=ImportError,
)


@pytest.fixture(scope="module")
def engine() -> Any:
    return torch_engine.TorchEngine(str(find_folder()), 384)


def test_vectors_are_those_of_the_exact_model(engine: Any) -> None:
    texts = ["How do I reset my password?", "What do I do to change a forgotten password?"]
    first, second = engine(texts)
    a, b = (np.frombuffer(each.vector, "<f4") for each in (first, second))
    assert float(a @ b) == pytest.approx(0.8380, abs=1e-3)
    assert (first.tokens, first.truncated) == (9, False)


def test_long_texts_are_truncated_and_huge_ones_cut_first(engine: Any) -> None:
    long, huge = engine(["dog " * 400, "dog " * 250_000])
    assert long.truncated
    assert huge.truncated
    assert huge.tokens > 200_000


def test_another_number_of_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match="makes vectors of 384, and `dimensions` says 768"):
        torch_engine.TorchEngine(str(find_folder()), 768)
