"""`python -m loadtest.failover [brownout|seed] [--plot FILE]`."""

import argparse
import time
from pathlib import Path

from loadtest.failover import brownout, seed
from loadtest.failover.plot import svg


def main() -> None:
    """Run one case, or both, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.failover", description=__doc__)
    parser.add_argument("case", nargs="?", choices=("brownout", "seed", "both"), default="both")
    parser.add_argument("--plot", type=Path, help="where to write the brown-out's chart, as SVG")
    given = parser.parse_args()
    if given.case != "seed":
        began = time.monotonic()
        lines, panels = brownout.report()
        print("\n".join(lines))
        virtual = 4 * (brownout.UNTIL + 70)
        print(f"{virtual:.0f} s of virtual time passed in {time.monotonic() - began:.1f} s\n")
        if given.plot:
            given.plot.write_text(svg(panels))
    if given.case != "brownout":
        began = time.monotonic()
        print("\n".join(seed.report()))
        virtual = 2 * seed.UNTIL
        print(f"{virtual:.0f} s of virtual time passed in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
