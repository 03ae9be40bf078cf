"""`limits.db` itself: what is in it, its clock, and how it is swept."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.state import limits_file
from gateway.state.base import SWEPT
from gateway.state.limits_file import LimitsFile
from tests.fakes.clock import FakeClock
from tests.fakes.stores import Counted, Store, open_store, rate, slots

COUNTERS = "SELECT count(*) FROM counters"
LEASES = "SELECT count(*) FROM leases"


def rows(folder: Path, query: str) -> int:
    with closing(sqlite3.connect(folder / "limits.db")) as connection:
        (count,) = connection.execute(query).fetchone()
        return int(count)


async def test_a_request_that_came_and_went_leaves_no_lease(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        lease = (await store.admit("a", rate(5))).lease
        await store.state.limiter.flush()
        assert await asyncio.to_thread(rows, tmp_path, LEASES) == 1
        store.settle(lease, {})
        await store.state.limiter.flush()
        assert await asyncio.to_thread(rows, tmp_path, LEASES) == 0


OLDER_LEASE = (
    b'{"id":"old","tenant":"acme","expires":1795000000.0,"epoch":"",'
    b'"limits":[["budget","usd",80,100,1795003600.0,true],["slots","slots",1,2,true]]}'
)


async def test_what_an_older_version_left_under_way_is_charged_in_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The leases of versions before this one were JSON objects; nobody can read them now."""
    with closing(sqlite3.connect(tmp_path / "limits.db")) as connection, connection:
        connection.executescript(limits_file.SCHEMA)
        connection.execute("PRAGMA user_version = 1")
        rows = [("usd", 5, 80, 0, 0, 1795090000.0), ("slots", 0, 1, 0, 0, 0)]
        connection.executemany("INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?)", rows)
        row = ("old", 1795000000.0, OLDER_LEASE)
        connection.execute("INSERT INTO leases VALUES (?, ?, ?)", row)
    async with open_store("sqlite", tmp_path) as store:
        assert await store.counted("usd") == Counted(spent=85, held=0)
        assert await store.counted("slots") == Counted()
        assert "1 requests that an older version left under way are charged" in caplog.text
        await store.admit("new", store.budget(100, 15, key="usd"), slots(2, 2))
        await store.sweep()
    async with open_store("sqlite", tmp_path) as store:  # once: leases of this version go on
        assert await store.counted("usd") == Counted(spent=85, held=15)


async def _fill(store: Store, count: int) -> None:
    for number in range(count):
        admitted = await store.admit(f"r{number}", rate(60, key=f"user-{number:05}"))
        store.settle(admitted.lease, {})


async def test_counters_that_are_as_good_as_new_are_dropped_in_their_turn(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        await _fill(store, SWEPT + 5)
        await store.admit("kept", store.budget(10))
        for left in (7, 1, 1):
            await store.sweep()
            assert await asyncio.to_thread(rows, tmp_path, COUNTERS) == left


async def test_after_a_reboot_the_wall_clock_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(limits_file, "BOOT_ID", boot)

    async def started(clock: FakeClock, name: str) -> float:
        await asyncio.to_thread(boot.write_text, name)
        limits = LimitsFile(tmp_path, clock)
        await limits.writer.start()
        await limits.writer.close()
        return limits.now()

    clock = FakeClock()
    first = await started(clock, "one")
    clock.stepped = 500.0
    assert await started(clock, "one") == first
    assert await started(clock, "two") == first + 500


async def test_where_boots_have_no_names_their_minute_tells_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_file, "BOOT_ID", tmp_path / "absent")
    async with open_store("sqlite", tmp_path) as one, open_store("sqlite", tmp_path) as two:
        assert two.now() == one.now() == one.clock.wall()
