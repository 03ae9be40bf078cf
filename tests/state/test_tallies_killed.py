"""Processes that count into one store and are killed: each loses its last batch at most."""

import asyncio
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import open_redis, open_store
from tests.fakes.tallying import Teller, look

ROOT = Path(__file__).parents[2]
BEFORE = (40, 60, 80)
"""Confirmations after which each is killed."""


def kill_all(kind: str, homes: list[Path], url: str) -> int:
    """Return how many counts were confirmed before the kills."""
    confirmed = 0
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.fakes.tallying_process", kind, str(home), url],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for home in homes
        ]
        for child, lines in zip(children, BEFORE, strict=True):
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(lines)]
            child.kill()
            said += child.stdout.readlines()
            # The kill may have torn the last line.
            confirmed += int([line for line in said if line.endswith("\n")][-1])
    return confirmed


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_of_killed_processes_the_store_has_all_but_the_last_count(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    homes, url = [tmp_path] * 3, "-"
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        await asyncio.to_thread(server.command, "FLUSHALL")
        homes, url = [tmp_path / name for name in ("one", "two", "three")], server.url
        for home in homes:
            home.mkdir()
    confirmed = await asyncio.to_thread(kill_all, kind, homes, url)
    assert confirmed >= sum(BEFORE)
    shared = open_redis(tmp_path, url, prefix="tallied:") if kind == "redis" else None
    async with shared or open_store(kind, tmp_path) as store:
        teller = Teller(store)
        await look(teller)
        assert confirmed <= sum(teller.sums().values()) <= confirmed + len(homes)
