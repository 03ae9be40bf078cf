"""`python -m loadtest.bench.limits`: CPU a request with 3 limits, and with none.

Each store is measured with a `rate_limit` stage and without, in turn, over HTTP; what counts is
the difference. Redis is measured where its server is given: `--redis redis://127.0.0.1:6379/0`. CPU
is the gateway's own, all threads; what Redis itself spends is not in it.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from loadtest.bench.client import request_bytes
from loadtest.bench.measure import prompt, wait_for_answer
from loadtest.bench.process import LOAD_CORE, Process, free_port, pin
from loadtest.bench.spent import request_cost
from loadtest.bench.target import KEY, POLICY, turnout
from loadtest.bench.upstream import upstream

BARS: Final = {"memory": 12.0, "sqlite": 60.0}
"""Microseconds of CPU a request that the stage may cost."""
LIMITED: Final = """\
pipeline:
  - stage: rate_limit
    limits:
      - {requests: 100000000, every: 1m}
      - {tokens: 100000000000, every: 1m}
      - {cost: 10000000, each: month}
  - stage: relay
"""
POLICIES: Final = {"off": POLICY, "on": LIMITED}


def cost_of(settings: str, policy: str, seconds: float) -> float:
    """Return the microseconds of CPU that a request costs with this store and policy."""
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as temporary:
        folder, port = Path(temporary), free_port()
        url = f"http://127.0.0.1:{port}/v1"
        with turnout(url, folder, settings=settings, policy=policy) as ours:
            return uvloop.run(_cost_of(ours, port, seconds))


async def _cost_of(ours: Process, port: int, seconds: float) -> float:
    request = request_bytes(ours.port, prompt("What is a turnout?"), KEY)
    async with upstream(port):
        await asyncio.to_thread(wait_for_answer, ours, request)
        return await request_cost(ours, request, seconds)


def measure(stores: Mapping[str, str], rounds: int, seconds: float) -> Mapping[str, float]:
    """Return what the stage costs in each store: the median of the rounds' differences."""
    print("store     without     with   the stage   us of CPU a request", flush=True)
    found = {}
    for name, settings in stores.items():
        costs: dict[str, list[float]] = {"off": [], "on": []}
        for _ in range(rounds):
            for which, policy in POLICIES.items():
                costs[which].append(cost_of(settings, policy, seconds))
        pairs = zip(costs["on"], costs["off"], strict=True)
        found[name] = median(on - off for on, off in pairs)
        off, on = median(costs["off"]), median(costs["on"])
        print(f"{name:7} {off:9.1f} {on:8.1f} {found[name]:11.1f}", flush=True)
    return found


def main() -> int:
    """Measure and print. Returns 1 when a bar is missed."""
    options = argparse.ArgumentParser(prog="python -m loadtest.bench.limits", description=__doc__)
    options.add_argument("--redis", metavar="URL", help="measure this Redis or Valkey too")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    chosen = options.parse_args()
    pin(LOAD_CORE)
    stores = {name: f"state: {{kind: {name}}}\n" for name in BARS}
    if chosen.redis:
        file = Path(tempfile.mkdtemp(prefix="turnout-bench-")) / "url"
        file.write_text(chosen.redis)
        secret = f"url: file:{file}, prefix: 'turnout-bench:', timeout: 1"
        stores["redis"] = f"state: {{kind: redis, {secret}}}\n"
    found = measure(stores, chosen.rounds, chosen.seconds)
    missed = [name for name, bar in BARS.items() if found[name] > bar]
    verdict = f"missed by {', '.join(missed)}" if missed else "met"
    bars = ", ".join(f"{name} {bar:g} us" for name, bar in BARS.items())
    print(f"bench limits: {chosen.rounds} rounds, bars ({bars}) {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
