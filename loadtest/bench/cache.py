"""`python -m loadtest.bench.cache`: CPU of an exact hit, beside a bare handler of the same bytes.

Both run alone on one core in turn: a bare aiohttp handler that returns a stored answer's bytes, and
Turnout with a key, limits in memory, the cache and the log on. Misses are measured beside, with the
cache and without it.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from loadtest.bench.client import Line, request_bytes
from loadtest.bench.measure import prompt, wait_for_answer
from loadtest.bench.process import GATEWAY_CORE, LOAD_CORE, Process, free_port, pin, started
from loadtest.bench.spent import request_cost
from loadtest.bench.target import KEY, MEMORY, turnout
from loadtest.bench.upstream import upstream

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


async def cost_of(
    process: Process, source: int, body: bytes, seconds: float
) -> tuple[float, bytes]:
    """Return the microseconds of CPU that a request costs, and the first answer's body."""
    request = request_bytes(process.port, body, KEY)
    async with upstream(source):
        await asyncio.to_thread(wait_for_answer, process, request)
        answer = await asyncio.to_thread(answer_to, process.port, request)
        return await request_cost(process, request, seconds), answer


def answer_to(port: int, request: bytes) -> bytes:
    """Return the body of the answer to a request."""
    line = Line(port)
    _, answer = line.ask(request)
    line.close()
    return answer.partition(b"\r\n\r\n")[2]


def measure(seconds: float) -> dict[str, float]:
    """Return the cost of a hit, of the bare handler, and of a request that is relayed."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as temporary:
        folder, source = Path(temporary), free_port()
        url = f"http://127.0.0.1:{source}/v1"
        with turnout(url, folder, settings=MEMORY, policy=WITH) as ours:
            found["hit"], answer = uvloop.run(cost_of(ours, source, _ASKED, seconds))
        with turnout(url, folder, settings=MEMORY, policy=WITHOUT) as ours:
            found["relayed"], _ = uvloop.run(cost_of(ours, source, _NEVER, seconds))
        (folder / "answer").write_bytes(answer)
        port = free_port()
        command = [sys.executable, "-m", "loadtest.bench.handler", str(port)]
        command.append(str(folder / "answer"))
        with started(command, port, GATEWAY_CORE, folder / "bare.log") as bare:
            found["bare"], _ = uvloop.run(cost_of(bare, source, _ASKED, seconds))
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
