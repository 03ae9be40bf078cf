"""Issued keys in a file: every process follows the changes of every other."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.core.state import IssuedKey
from tests.fakes.stores import Store, open_store
from tests.state.test_contract_keys import key


async def turn(store: Store) -> None:
    """Let half a second pass, which is when a follower looks."""
    await store.clock.advance(0.5)
    await store.state.keys.all()
    await asyncio.sleep(0.05)


async def test_a_key_revoked_in_one_process_is_revoked_in_the_other_within_a_second(
    tmp_path: Path,
) -> None:
    seen: list[Sequence[IssuedKey]] = []
    async with open_store("sqlite", tmp_path) as one, open_store("sqlite", tmp_path) as two:
        two.state.keys.follow(seen.append)
        await one.state.keys.create(key(1))
        await turn(two)
        assert [len(table) for table in seen][-1] == 1
        await one.state.keys.revoke("key-1", 5.0)
        await turn(two)
        assert seen[-1][0].revoked == 5.0


async def test_nobody_is_called_when_nothing_changed(tmp_path: Path) -> None:
    seen: list[Sequence[IssuedKey]] = []
    async with open_store("sqlite", tmp_path) as store:
        await store.state.keys.create(key(1))
        store.state.keys.follow(seen.append)
        for _ in range(3):
            await turn(store)
    assert len(seen) == 1
