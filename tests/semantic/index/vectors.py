"""Unit vectors to search among."""

import numpy as np
import numpy.typing as npt

DIMENSIONS = 16


def unit(seed: int, dimensions: int = DIMENSIONS) -> npt.NDArray[np.float32]:
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def units(count: int, dimensions: int = DIMENSIONS) -> npt.NDArray[np.float32]:
    rows = np.random.default_rng(count).standard_normal((count, dimensions))
    scaled: npt.NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        "f4"
    )
    return scaled
