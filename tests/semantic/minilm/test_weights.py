"""Only the pinned weights are ever read."""

from pathlib import Path

import pytest

from gateway.semantic.minilm import weights
from gateway.semantic.minilm.weights import WrongWeights, read_tokenizer, read_weights


def test_the_installed_weights_are_the_pinned_ones() -> None:
    tensors = read_weights()
    assert tensors["embeddings.word_embeddings.weight"].shape == (30522, 384)
    assert tensors["encoder.layer.5.output.dense.weight"].shape == (384, 1536)
    assert "[CLS]" in read_tokenizer()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"anything else")
    monkeypatch.setattr(weights, "find_folder", lambda: tmp_path)
    with pytest.raises(WrongWeights, match=r"is not the file that was pinned: install it again"):
        read_weights()


def test_missing_weights_name_their_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_folder", lambda: tmp_path)
    with pytest.raises(WrongWeights, match="cannot be read"):
        read_weights()
    monkeypatch.setattr(weights, "find_folder", lambda: None)
    with pytest.raises(WrongWeights, match="make install"):
        read_weights()
