import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core import wire
from loadtest.bench.measure import Measured
from loadtest.bench.report import bars, table, verdicts, write

ROOT = Path(__file__).parents[2]


def measured(scale: float) -> Measured:
    return Measured(100 * scale, 10 * scale, 1_000, 0.1, 0.2, 0.3 * scale, 40 * scale, 60 * scale)


def test_bars_compare_turnout_with_the_bare_relay_of_the_same_round(tmp_path: Path) -> None:
    results = {
        "bare": [measured(1), measured(2), measured(1)],
        "turnout": [measured(0.5), measured(1), measured(3)],
    }
    request, chunk, cold, idle, streams = bars(results)
    assert (request.value, request.met) == (0.5, True)
    assert (chunk.value, chunk.met) == (0.5, True)
    assert (cold.met, idle.met, streams.met) == (True, True, True)
    assert "100.000" in table(results)
    assert verdicts(bars(results)).count("PASS") == 5
    write(results, tmp_path / "reports/figures.json")
    kept = wire.decode((tmp_path / "reports/figures.json").read_bytes())
    assert len(kept["rounds"]["turnout"]) == 3


def test_a_missed_bar_is_said() -> None:
    results = {"bare": [measured(1)], "turnout": [measured(3)]}
    assert verdicts(bars(results)).count("FAIL") == 5


@pytest.mark.slow
def test_the_bench_runs_end_to_end_and_ends_with_what_it_did(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "loadtest.bench", "--quick", "--reports", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1].startswith("make bench: 1 rounds in ")
    assert len(list(tmp_path.glob("bench-*.json"))) == 1
