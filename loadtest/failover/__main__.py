"""`python -m loadtest.failover [brownout|seeds|seed] [--plot FILE] [--seeds N]`."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from loadtest.failover import brownout, seed, seeds
from loadtest.failover.plot import svg

CASES = ("brownout", "seeds", "seed")


def main() -> None:
    """Run one case, or all, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.failover", description=__doc__)
    parser.add_argument("case", nargs="?", choices=(*CASES, "all"), default="all")
    parser.add_argument("--plot", type=Path, help="where to write the brown-out's chart, as SVG")
    parser.add_argument("--seeds", type=int, default=10, help="how many `seeds` tries")
    given = parser.parse_args()
    for case in CASES if given.case == "all" else (given.case,):
        began = time.monotonic()
        lines, virtual = _run(case, given.plot, given.seeds)
        print("\n".join(lines))
        print(f"{virtual:.0f} s of virtual time passed in {time.monotonic() - began:.1f} s\n")


def _run(case: str, plot: Path | None, count: int) -> tuple[Sequence[str], float]:
    """Return a case's report and the virtual seconds that passed."""
    runs, each = len(brownout.CASES), brownout.UNTIL + 70
    if case == "seed":
        return seed.report(), 2 * seed.UNTIL
    if case == "seeds":
        return seeds.report(count), 2 * count * runs * each
    lines, panels = brownout.report()
    if plot:
        plot.write_text(svg(panels))
    return lines, 2 * runs * each


if __name__ == "__main__":
    main()
