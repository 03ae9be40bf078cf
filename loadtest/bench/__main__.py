"""`make bench`: Turnout and a bare aiohttp relay in turn, alone on one core, over loopback."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import uvloop

from loadtest.bench import report
from loadtest.bench.client import BadAnswer
from loadtest.bench.measure import FULL, QUICK, Effort, Measured, measure
from loadtest.bench.process import LOAD_CORE, Process, free_port, pin
from loadtest.bench.target import bare, in_memory, turnout

Start = Callable[[str, Path], AbstractContextManager[Process]]
TARGETS: Final[dict[str, Start]] = {"bare": bare, "turnout": turnout, "in memory": in_memory}
REPORTS: Final = Path(__file__).parents[1] / "reports"


def main() -> int:
    """Measure, print, keep the figures. Returns 1 when a bar is missed or an answer is wrong."""
    options = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="seconds only; judges no bar")
    options.add_argument("--rounds", type=int, help=f"default {FULL.rounds}")
    options.add_argument("--reports", type=Path, default=REPORTS, help="default loadtest/reports")
    chosen = options.parse_args()
    effort = QUICK if chosen.quick else FULL
    rounds = chosen.rounds or effort.rounds
    if not pin(LOAD_CORE):
        print("This machine has one core: load and target share it, so trust the ratios only.")
    start = time.perf_counter()
    try:
        results = run(effort, rounds)
    except* BadAnswer as errors:
        print(f"make bench: stopped, a target answered wrongly: {errors.exceptions[0]}")
        results = {}
    if not results:
        return 1
    path = chosen.reports / f"bench-{time.strftime('%Y%m%d-%H%M%S')}.json"
    report.write(results, path)
    promises = report.bars(results)
    print(report.table(results), report.verdicts(promises), sep="\n\n")
    missed = sum(not bar.met for bar in promises)
    print(
        f"make bench: {rounds} rounds in {time.perf_counter() - start:.0f} s, "
        f"{len(promises) - missed} of {len(promises)} bars met, figures in {path}"
    )
    return 1 if missed and not chosen.quick else 0


def run(effort: Effort, rounds: int) -> dict[str, list[Measured]]:
    """Return each target's figures, round by round; who comes first alternates."""
    results: dict[str, list[Measured]] = {name: [] for name in TARGETS}
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as temporary:
        folder = Path(temporary)
        port = free_port()
        for number in range(rounds):
            for name in list(TARGETS)[:: 1 if number % 2 else -1]:
                with TARGETS[name](f"http://127.0.0.1:{port}/v1", folder) as process:
                    figures = uvloop.run(measure(process, port, effort))
                results[name].append(figures)
                print(
                    f"round {number + 1}  {name:9} {figures.request_us:7.1f} us/request "
                    f"{figures.chunk_us:6.1f} us/chunk",
                    flush=True,
                )
    return results


if __name__ == "__main__":
    sys.exit(main())
