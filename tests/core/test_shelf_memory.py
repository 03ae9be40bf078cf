"""B13: one tenant stores without end; the process does not grow, and the others lose nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
import psutil
from gateway.core.shelf import Shelf
from tests.fakes.kept import NOW, answer

limit, flood = 64 << 20, int(sys.argv[1])
me, chunk = psutil.Process(), os.urandom(1 << 20)
shelf = Shelf(limit)
before = me.memory_info().rss
for number in range(2000):
    shelf.put(answer(-number, tenant="bob", body=chunk[:1500]), number.to_bytes(16, "big"))
for number in range(flood):
    start = number * 7 % 900_000
    body, vector = chunk[start : start + 200 + number % 3000], chunk[start : start + 1536]
    kept = answer(number, body=body, vector=vector, question=f"What is {number}?")
    shelf.put(kept, (1 << 40 | number).to_bytes(16, "big"))
theirs = sum(shelf.by_id(f"id-{-number}", NOW) is not None for number in range(2000))
print(me.memory_info().rss - before, theirs, shelf.size, shelf.evictions)
"""


@pytest.mark.parametrize("flood", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_b13_a_flood_of_one_tenant_stays_within_the_bound_and_costs_nobody_else(
    flood: int,
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(flood)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    grown, theirs, size, evictions = map(int, done.stdout.split())
    sys.stdout.write(f"{flood} stored: {grown >> 20} MiB more, {theirs} of 2000 of bob's left\n")
    assert theirs == 2000
    assert size <= 64 << 20
    assert grown <= 64 << 20
    assert evictions > flood * 0.8
