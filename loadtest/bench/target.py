"""What is measured: the bare relay, and Turnout as its users run it."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from loadtest.bench.process import GATEWAY_CORE, Process, free_port, started
from loadtest.bench.upstream import MODEL

KEY: Final = "tk-bench-0123456789abcdef0123456789"
UPSTREAM_KEY: Final = "sk-bench-" + "0123456789abcdef" * 3
_GATEWAY: Final = """\
embedder: {{kind: none}}  # loaded in the background, it would spoil the first seconds
keys:
  bench: env:TURNOUT_BENCH_KEY
providers:
  upstream:
    kind: openai
    base_url: {upstream}
    api_key: env:TURNOUT_BENCH_UPSTREAM_KEY
    concurrency: {{queue: 1000}}  # on a busy machine streams wait for places, and none is refused
"""
_MODELS: Final = """\
models:
  {model}:
    provider: upstream
    price: {{input: 0.15, output: 0.60}}
"""
MEMORY: Final = "state: {kind: memory}\n"
POLICY: Final = """\
description: Send the request to the model that it names.
pipeline:
  - stage: relay
"""


@contextmanager
def bare(upstream: str, folder: Path) -> Iterator[Process]:
    """Run the bare relay."""
    port = free_port()
    command = [sys.executable, "-m", "loadtest.bench.relay", str(port), upstream]
    with started(command, port, GATEWAY_CORE, folder / "bare.log") as process:
        yield process


@contextmanager
def turnout(
    upstream: str, folder: Path, *, settings: str = "", policy: str = POLICY
) -> Iterator[Process]:
    """Run `turnout serve` with one provider, one key and its log in a file; state as by default."""
    port, admin = free_port(), free_port()
    (folder / "config").mkdir(exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "config/gateway.yaml").write_text(_GATEWAY.format(upstream=upstream) + settings)
    (folder / "config/models.yaml").write_text(_MODELS.format(model=MODEL))
    (folder / "policies/default.yaml").write_text(policy)
    command = [
        *(str(Path(sys.executable).parent / "turnout"), "serve"),
        *("--config", str(folder / "config"), "--policies", str(folder / "policies")),
        *("--data", str(folder / "data")),
        *("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"),
    ]
    env = {"TURNOUT_BENCH_KEY": KEY, "TURNOUT_BENCH_UPSTREAM_KEY": UPSTREAM_KEY}
    with started(command, port, GATEWAY_CORE, folder / "turnout.log", env) as process:
        yield process


def in_memory(upstream: str, folder: Path) -> AbstractContextManager[Process]:
    """Run the same without a ledger on the disk."""
    return turnout(upstream, folder, settings=MEMORY)
