"""Several processes, one store: exactly the limit is let in, and a kill loses no charge."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.core.state import GRACE, Lease
from gateway.runtime import SystemClock
from tests.fakes.redis_server import RedisServer
from tests.fakes.state_process import KEY, RESERVED, limits, used_of
from tests.fakes.stores import Counted, open_redis, open_store

ROOT = Path(__file__).parents[2]
Child = subprocess.Popen[str]


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kind and address of a store that processes can share."""
    if request.param == "sqlite":
        return "sqlite", "-"
    server: RedisServer = request.getfixturevalue("redis")
    server.command("FLUSHALL")
    return "redis", server.url


def start(work: str, kind: str, folder: Path, url: str, number: int) -> Child:
    command = [sys.executable, "-m", "tests.fakes.state_process", work, kind, str(folder), url]
    return subprocess.Popen(
        [*command, str(number)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_c01_c02_200_at_once_from_3_processes_on_a_budget_for_10_admit_exactly_10(
    shared: tuple[str, str], tmp_path: Path
) -> None:
    kind, url = shared
    for node in ("one", "two"):
        (tmp_path / node).mkdir()
    # With Redis two of them are workers of one node, the third is another node.
    homes = [tmp_path / node for node in ("one", "one", "two" if kind == "redis" else "one")]
    children = [
        start("race", kind, home, url, n) for home, n in zip(homes, (67, 67, 66), strict=True)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    admitted = [int(child.communicate("go\n", timeout=30)[0]) for child in children]
    assert sum(admitted) == 10


def steps_of(journal: str) -> dict[str, str]:
    """Return how far each lease got."""
    found = re.findall(r"^(try|got|end|done|open) (-|[0-9a-f]{32})$", journal, re.MULTILINE)
    return {name: step for step, name in found}  # a kill may tear a line: that step was not told


def kill_many(shared: tuple[str, str], folder: Path, times: int) -> dict[str, str]:
    with start("die", shared[0], folder, shared[1], times) as child:
        assert child.wait(120) == 0
    return steps_of((folder / "journal").read_text())


async def test_c03_killed_at_50_points_every_lease_is_charged_and_reconciled_later(
    shared: tuple[str, str], tmp_path: Path
) -> None:
    kind, url = shared
    steps = await asyncio.to_thread(kill_many, shared, tmp_path, 50)
    steps.pop("-")
    by_step: dict[str, list[str]] = {step: [] for step in ("try", "got", "end", "done")}
    for name, step in steps.items():
        by_step[step].append(name)
    assert len(by_step["done"]) > 50
    options: dict[str, Any] = {"prefix": "shared:"}
    opening = (
        open_redis(tmp_path, url, **options) if kind == "redis" else open_store(kind, tmp_path)
    )
    async with opening as store:
        if kind == "redis":
            await store.age(1 + GRACE + 5)
        else:
            store.clock.now = SystemClock().uptime() + 1 + GRACE + 5
        await store.sweep()
        after = await store.counted(KEY)
        done = sum(map(used_of, by_step["done"]))
        held = RESERVED * len(by_step["got"])
        unsure = RESERVED * len(by_step["try"]) + RESERVED * len(by_step["end"])
        assert after.held == 0
        assert done + held <= after.spent <= done + held + unsure
        assert await store.counted("acme/slots") == Counted()

        for name in (*by_step["got"], *by_step["end"]):
            lease = Lease(
                *(name, "acme", limits(1 << 40), [RESERVED, 1], 0.0),
                epoch=_epoch(store.state.limiter),
            )
            store.settle(lease, {KEY: used_of(name)})
        late = await store.counted(KEY)
        settled = sum(used_of(name) for name, step in steps.items() if step != "try")
        assert (late.spent - settled) % RESERVED == 0
        assert settled <= late.spent <= settled + RESERVED * len(by_step["try"])
    counts = ", ".join(f"{len(names)} {step}" for step, names in by_step.items())
    sys.stdout.write(f"{kind}: 50 kills, furthest step of the leases: {counts}\n")


def _epoch(limiter: Any) -> str:
    """What a lease that Redis confirmed would carry."""
    return limiter._link.epoch if hasattr(limiter, "_link") else ""
