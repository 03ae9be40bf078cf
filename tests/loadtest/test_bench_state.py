"""The store bench runs, and says what it did."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_store_bench_prints_a_line_for_each_store_and_load() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.bench.state", "--number", "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [
        [store, at_once] for store in ("memory", "sqlite") for at_once in ("1", "8", "64")
    ]
    assert lines[-1].startswith("bench state: 200 pairs for each figure")
