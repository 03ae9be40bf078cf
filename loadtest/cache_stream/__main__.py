"""`python -m loadtest.cache_stream [--requests N] [--pairs FILE] [--plot FILE]`."""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.stages.semantic_cache.lookup import SemanticPolicy
from loadtest.cache_stream.intents import read_intents, read_pairs
from loadtest.cache_stream.report import panels, table
from loadtest.cache_stream.stream import run
from loadtest.cache_stream.world import JUDGE
from loadtest.failover.plot import svg

BAD = 0.8
RUNS: Mapping[str, SemanticPolicy] = {
    "fixed at 0.80": SemanticPolicy(threshold=BAD, audit_rate=0),
    "embeddings": SemanticPolicy(threshold=BAD, audit_rate=0.1),
    "judge": SemanticPolicy(threshold=BAD, audit_rate=0.1, judge=JUDGE),
    "judge, shadow": SemanticPolicy(threshold=BAD, audit_rate=0.1, judge=JUDGE, start="shadow"),
}


def main() -> None:
    """Run the stream under each setting, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.cache_stream", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="questions of a run")
    parser.add_argument("--pairs", type=Path, help="labelled pairs in place of our own questions")
    parser.add_argument("--plot", type=Path, help="where to write the chart, as SVG")
    parser.add_argument("--data", type=Path, help="where the embedder's graph is kept")
    given = parser.parse_args()
    intents = read_pairs(given.pairs) if given.pairs else read_intents()
    began, runs = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or Path(folder)
        for name, semantic in RUNS.items():
            runs.append(asyncio.run(run(name, intents, semantic, given.requests, data)))
    print("\n".join(table(runs)))
    print(f"{given.requests:,} requests a run, {time.monotonic() - began:.0f} s in all")
    if given.plot:
        given.plot.write_text(svg(panels(runs)))


if __name__ == "__main__":
    main()
