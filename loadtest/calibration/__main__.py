"""`python -m loadtest.calibration drift [--plot FILE]`, `shares ROWS` or `tiers ROWS`."""

import argparse
import asyncio
from pathlib import Path

from loadtest.calibration import drift, shares, tiers
from loadtest.calibration.score import by_length
from loadtest.failover.plot import svg


def main() -> None:
    """Run one case and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.calibration", description=__doc__)
    cases = parser.add_subparsers(dest="case", required=True)
    drifting = cases.add_parser("drift", help="traffic that changes, in virtual time")
    drifting.add_argument("--plot", type=Path, help="where to write the chart, as SVG")
    own = cases.add_parser("shares", help="realised shares of your own prompts")
    own.add_argument("rows", type=Path, help="JSON Lines with `source` and `prompt`")
    mixed = cases.add_parser("tiers", help="mixtures of tiers beside the lowest one")
    mixed.add_argument("rows", type=Path, help="JSON Lines with `prompt` and `tiers`")
    given = parser.parse_args()
    if given.case == "tiers":
        print("\n".join(tiers.report(tiers.read(given.rows), by_length)))
        return
    if given.case == "shares":
        prompts = shares.read(given.rows)
        found = [shares.measure(source, each, by_length) for source, each in prompts.items()]
        print("\n".join(shares.report(found)))
        return
    lines, panels = asyncio.run(drift.report())
    print("\n".join(lines))
    if given.plot:
        given.plot.write_text(svg(panels))


if __name__ == "__main__":
    main()
