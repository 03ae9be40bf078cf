"""Texts to vectors by sentence-transformers, on one thread."""

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from gateway.core.embedding import Embedded

LONGEST: Final = 8192
"""Characters that are tokenised of one text."""
_CHARACTERS_A_TOKEN: Final = 4


class TorchEngine:
    """Computes vectors on the calling thread."""

    def __init__(self, model: str, dimensions: int) -> None:
        """Load the model. Raises ValueError when its vectors have another length."""
        torch.set_num_threads(1)
        self._model = SentenceTransformer(model, device="cpu")
        (embedded,) = self(["The first run allocates."])
        if len(embedded.vector) != 4 * dimensions:
            made = len(embedded.vector) // 4
            raise ValueError(f"{model} makes vectors of {made}, and `dimensions` says {dimensions}")

    def __call__(self, texts: Sequence[str], /) -> Sequence[Embedded]:
        """Return one vector a text."""
        heads = [text[:LONGEST].encode("utf-8", "replace").decode() for text in texts]
        rows = self._model.encode(heads, normalize_embeddings=True, show_progress_bar=False)
        window = self._model.max_seq_length or np.inf
        embedded = []
        for text, head, row in zip(texts, heads, rows, strict=True):
            rest = ceil((len(text) - len(head)) / _CHARACTERS_A_TOKEN)
            tokens = len(self._model.tokenizer(head, verbose=False)["input_ids"]) + rest
            vector = np.asarray(row).astype("<f4").tobytes()
            embedded.append(Embedded(vector, tokens, truncated=tokens > window))
        return embedded
