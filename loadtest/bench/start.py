"""How long `turnout serve` takes from nothing to its first answer with a look-up behind it."""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.bench.process import free_port

PATIENCE: Final = 60.0
_NOT_YET: Final = frozenset({"embedder", "timeout"})
"""Reasons of a miss that no look-up was made for."""
_GATEWAY: Final = """\
embedder: {kind: minilm}
providers:
  sim: {kind: simulated, latency: {law: fixed, first_token: 0, gap: 0}}
"""
_MODELS: Final = "models: {sim: {provider: sim}}\n"
_POLICY: Final = """\
description: The cache, similar questions too, in front of a simulated model.
pipeline:
  - {stage: semantic_cache, semantic: {}, lookup_timeout_ms: 5000}
  - stage: relay
"""


class Start(NamedTuple):
    """Seconds from the command to the first answer with a look-up, and those of CPU among them."""

    wall: float
    cpu: float


def first_lookup(folder: Path) -> Start:
    """Start, ask and stop. The graph lies below `folder` from the second time on.

    Raises TimeoutError.
    """
    (folder / "config").mkdir(exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "config/gateway.yaml").write_text(_GATEWAY)
    (folder / "config/models.yaml").write_text(_MODELS)
    (folder / "policies/default.yaml").write_text(_POLICY)
    port = free_port()
    command = [
        *(str(Path(sys.executable).parent / "turnout"), "serve"),
        *("--config", str(folder / "config"), "--policies", str(folder / "policies")),
        *("--data", str(folder / "data")),
        *("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}"),
    ]
    with (folder / "start.log").open("wb") as log:
        born = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _ask_until_looked_up(port, born)
            return Start(time.perf_counter() - born, cpu_of(process.pid))
        finally:
            process.terminate()
            process.wait(10)


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ask_until_looked_up(port: int, born: float) -> None:
    """Ask one new question after another until one was looked up and answered."""
    number = 0
    while time.perf_counter() - born < PATIENCE:
        number += 1
        try:
            if _asked(port, f"What is the colour of house number {number}?"):
                return
        except ConnectionRefusedError:
            time.sleep(0.002)
    raise TimeoutError("no answer with a look-up")


def _asked(port: int, text: str) -> bool:
    """Ask; return whether similar questions were looked for."""
    body = {"model": "sim", "messages": [{"role": "user", "content": text}]}
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"content-type": "application/json"}
    line.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = line.getresponse()
    answer.read()
    line.close()
    reason = answer.getheader("x-turnout-cache-reason", "")
    return answer.getheader("x-turnout-cache") == "miss" and reason not in _NOT_YET
