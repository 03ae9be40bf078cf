"""A process that stores answers is killed at any moment: what was kept stays, and is right."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

from gateway.core.answers import Selection
from tests.fakes.answers_process import numbered
from tests.fakes.stores import open_store
from tests.state.test_contract_answers import Followed

ROOT = Path(__file__).parents[2]
KILLS = 8


def kill_one(folder: Path, start: int, groups: int) -> int:
    """Run a process, kill it soon after it kept so many groups; return the last number it kept."""
    command = [sys.executable, "-m", "tests.fakes.answers_process", str(folder), str(start)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        kept = [child.stdout.readline() for _ in range(groups)]
        child.send_signal(signal.SIGKILL)
        kept += child.stdout.readlines()
    return int([line for line in kept if line.endswith("\n")][-1])


def sound(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "answers.db")) as connection:
        sums = "SELECT tenant, count(*), sum(size) FROM answers GROUP BY tenant"
        return (
            connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            and connection.execute("SELECT * FROM tenants").fetchall()
            == connection.execute(sums).fetchall()
        )


async def test_killed_at_many_points_nothing_that_was_kept_is_lost_or_wrong(tmp_path: Path) -> None:
    chance, start = Random(5), 0
    for _ in range(KILLS):
        last = await asyncio.to_thread(kill_one, tmp_path, start, chance.randrange(2, 40))
        assert await asyncio.to_thread(sound, tmp_path)
        async with open_store("sqlite", tmp_path) as store:
            found = await store.state.answers.find(Selection(), most=10_000)
            assert all(each == numbered(int(each.id[3:])) for each in found)
            newest = numbered(last if last % 70 else last - 1)
            assert await store.state.answers.get(newest.key) in {newest, *found}
            assert newest.id in {each.id for each in found}
            assert await Followed(store).here() == {each.id for each in found}
        start = last // 10 * 10 + 500
