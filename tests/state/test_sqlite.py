"""State in files: what two processes that share them see of each other."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import StateUnavailable
from gateway.state.sqlite import SqliteConfig
from tests.fakes.runtime import make_runtime
from tests.fakes.stores import open_store


async def test_a_second_process_counts_on(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as one, open_store("sqlite", tmp_path) as two:
        first = await one.admit("a", one.budget(10, 6))
        await two.refuse("b", one.budget(10, 6))
        two.settle(first.lease, {first.limits[0].key: 2})
        await two.state.limiter.flush()
        await one.admit("c", one.budget(10, 6))


async def test_all_processes_go_by_the_clock_of_the_first(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as one:
        pass
    async with open_store("sqlite", tmp_path) as two:
        assert two.now() == one.now()


async def test_it_says_what_is_wrong_with_its_files(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        assert store.state.problem() == ""
    await asyncio.to_thread((tmp_path / "ledger.db").write_bytes, b"garbage" * 1000)
    with pytest.raises(StateUnavailable, match=r"ledger.db cannot be used"):
        async with SqliteConfig().open(make_runtime(), tmp_path):
            pass
