"""`python -m loadtest.bench.cache`: CPU of an exact hit, beside a bare handler of the same bytes.

Both run alone on one core in turn: a bare aiohttp handler that returns a stored answer's bytes, and
Turnout with a key, limits in memory, the cache and the log on. Misses are measured beside, with the
cache and without it.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from loadtest.bench.client import Line, request_bytes, whole_load
from loadtest.bench.limits import CONNECTIONS
from loadtest.bench.measure import prompt, wait_for_answer
from loadtest.bench.process import GATEWAY_CORE, LOAD_CORE, Process, free_port, pin, started
from loadtest.bench.target import KEY, turnout

BAR: Final = 2.0
"""Times the bare handler's CPU that an exact hit may cost."""
_LIMITS: Final = """\
  - stage: rate_limit
    limits:
      - {requests: 100000000, every: 1m}
      - {tokens: 100000000000, every: 1m}
      - {cost: 10000000, each: month}
"""
WITHOUT: Final = f"pipeline:\n{_LIMITS}  - stage: relay\n"
WITH: Final = f"pipeline:\n{_LIMITS}  - stage: semantic_cache\n  - stage: relay\n"
_ASKED: Final = prompt("What is a turnout?")
_NEVER: Final = _ASKED[:-1] + b',"web_search_options":{}}'
"""The same, but nothing that the cache looks for."""


def cost_of(process: Process, request: bytes, seconds: float) -> float:
    """Return the microseconds of CPU that a request costs."""
    uvloop.run(whole_load(process.port, request, CONNECTIONS, seconds / 3))
    before = process.cpu()
    load = uvloop.run(whole_load(process.port, request, CONNECTIONS, seconds))
    return (process.cpu() - before) / load.done * 1e6


def measure(seconds: float) -> dict[str, float]:
    """Return the cost of a hit, of the bare handler, and of a request that is relayed."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as temporary:
        folder, port = Path(temporary), free_port()
        command = [sys.executable, "-m", "loadtest.bench.upstream", str(port)]
        url, state = f"http://127.0.0.1:{port}/v1", "state: {kind: memory}\n"
        with started(command, port, LOAD_CORE, folder / "upstream.log"):
            with turnout(url, folder, settings=state, policy=WITH) as ours:
                request = request_bytes(ours.port, _ASKED, KEY)
                wait_for_answer(ours, request)
                line = Line(ours.port)
                answer = line.ask(request)[1].partition(b"\r\n\r\n")[2]
                line.close()
                found["hit"] = cost_of(ours, request, seconds)
            with turnout(url, folder, settings=state, policy=WITHOUT) as ours:
                request = request_bytes(ours.port, _NEVER, KEY)
                wait_for_answer(ours, request)
                found["relayed"] = cost_of(ours, request, seconds)
        (folder / "answer").write_bytes(answer)
        port = free_port()
        command = [sys.executable, "-m", "loadtest.bench.handler", str(port)]
        command.append(str(folder / "answer"))
        with started(command, port, GATEWAY_CORE, folder / "bare.log") as bare:
            request = request_bytes(port, _ASKED, KEY)
            wait_for_answer(bare, request)
            found["bare"] = cost_of(bare, request, seconds)
    return found


def main() -> int:
    """Measure and print. Returns 1 when the bar is missed."""
    options = argparse.ArgumentParser(prog="python -m loadtest.bench.cache", description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    chosen = options.parse_args()
    pin(LOAD_CORE)
    rounds: list[dict[str, float]] = []
    print("bare handler   exact hit   ratio   relayed   us of CPU a request", flush=True)
    for _ in range(chosen.rounds):
        one = measure(chosen.seconds)
        rounds.append(one)
        ratio = one["hit"] / one["bare"]
        print(
            f"{one['bare']:12.1f} {one['hit']:11.1f} {ratio:7.2f} {one['relayed']:9.1f}", flush=True
        )
    ratio = median(one["hit"] / one["bare"] for one in rounds)
    verdict = "met" if ratio <= BAR else "missed"
    print(f"bench cache: {ratio:.2f} times the bare handler, bar {BAR:g} {verdict}")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
