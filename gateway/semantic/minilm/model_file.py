"""The built graph in the data directory: made once, whoever comes first, and checked each time."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from gateway.core import wire
from gateway.semantic.minilm import RECIPE, WEIGHTS_SHA256
from gateway.semantic.minilm.graph import build_graph
from gateway.semantic.minilm.weights import read_weights

FOLDER: Final = "embedder"
MODEL: Final = "minilm.onnx"
ABOUT: Final = "minilm.json"


class About(Struct, frozen=True):
    """What a built file is, and what it must hash to."""

    weights: str
    recipe: str
    sha256: str


def model_file(data: Path, build: Callable[[], bytes] | None = None) -> bytes:
    """Return the graph's ONNX file, building it when the one below `data` is not the right one.

    Processes that start together build it once. Where nothing can be written it is built for this
    process alone. Blocks for up to some seconds. Raises WrongWeights.
    """
    folder = data / FOLDER
    built = _read(folder)
    if built is not None:
        return built
    make = build or (lambda: build_graph(read_weights()))
    try:
        with _alone(folder):
            built = _read(folder)
            if built is None:
                built = make()
                _keep(folder, built)
    except OSError:
        built = built or make()
    return built


def _read(folder: Path) -> bytes | None:
    """Return the file if it is whole and what this version would build."""
    try:
        about = wire.decode_as((folder / ABOUT).read_bytes(), About)
        built = (folder / MODEL).read_bytes()
    except (OSError, ValueError):
        return None
    found = About(WEIGHTS_SHA256, RECIPE, sha256(built).hexdigest())
    return built if about == found else None


def _keep(folder: Path, built: bytes) -> None:
    about = About(WEIGHTS_SHA256, RECIPE, sha256(built).hexdigest())
    _write(folder / MODEL, built)
    _write(folder / ABOUT, wire.encode(about))


def _write(path: Path, content: bytes) -> None:
    """Write the file whole, then give it its name."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except OSError:
        with suppress(OSError):
            Path(draft).unlink()
        raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block; a dead one's lock is free."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as file:
        flock(file, LOCK_EX)
        yield
