"""The tables of counts: what is over is deleted, and idle looks write nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.core.tallies import KEPT, PART
from tests.fakes.tallying import look, tellers

COUNT = "SELECT (SELECT count(*) FROM tallies), (SELECT count(*) FROM agreed)"


def rows(folder: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(folder / "ledger.db")) as file:
        tallies, agreed = file.execute(COUNT).fetchone()
        return tallies, agreed


async def test_what_is_over_leaves_the_file(tmp_path: Path) -> None:
    async with tellers("sqlite", tmp_path) as (one, _):
        one.add(1, 2, 3)
        one.propose(1, "nobody's any more")
        await look(one)
        assert rows(tmp_path) == (3, 1)
        one.wait(PART * KEPT)
        one.add(4)
        await look(one)
        assert rows(tmp_path) == (1, 0)


async def test_a_look_that_brings_nothing_writes_nothing(tmp_path: Path) -> None:
    async with tellers("sqlite", tmp_path) as (one, _):
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
            before = file.execute("PRAGMA data_version").fetchone()
            for _ in range(3):
                one.sums()
                await look(one)
            assert file.execute("PRAGMA data_version").fetchone() == before
            one.add(1)
            await look(one)
            assert file.execute("PRAGMA data_version").fetchone() != before


async def test_a_setting_in_use_is_still_there_for_who_comes_later(tmp_path: Path) -> None:
    async with tellers("sqlite", tmp_path) as (one, _):
        one.propose(1, "kept")
        for _ in range(4):
            one.add(1)
            one.agreed()
            one.sums()
            await look(one)
            assert rows(tmp_path)[1] == 1
            one.wait(PART * KEPT / 2)
