"""Records that processes share: what is told to whom."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.audits import Record
from gateway.core.errors import StateUnavailable
from gateway.state.audits_shared import POLL, Changes, SharedAudits
from tests.fakes.clock import FakeClock, settle

ONE = Record("a", 1, b"{}")


class Place:
    """Holds what a test puts there."""

    def __init__(self) -> None:
        self.changes: list[Record] = []
        self.away = False
        self.asked: list[int] = []

    async def swap(self, record: Record, /) -> Record | None:
        self.changes.append(record)
        return None

    async def since(self, change: int, /) -> Changes:
        self.asked.append(change)
        if self.away:
            raise StateUnavailable("It is away.")
        return len(self.changes), self.changes[change:]


async def test_followers_hear_of_each_change_once() -> None:
    place, heard = Place(), list[Sequence[Record]]()
    shared = SharedAudits(place, FakeClock())
    shared.follow(heard.append)
    await shared.look()
    assert heard == []
    await shared.swap(ONE)
    await shared.look()
    await shared.look()
    assert heard == [[ONE]]


async def test_who_is_new_hears_of_everything() -> None:
    place, heard = Place(), list[Sequence[Record]]()
    shared = SharedAudits(place, FakeClock())
    await shared.swap(ONE)
    await shared.look()
    shared.follow(heard.append)
    await shared.look()
    assert heard == [[ONE]]


async def test_it_looks_twice_a_second_also_after_the_place_was_away() -> None:
    place, clock, heard = Place(), FakeClock(), list[Sequence[Record]]()
    shared = SharedAudits(place, clock)
    shared.follow(heard.append)
    place.away = True
    task = asyncio.create_task(shared.keep_followed())
    await settle()
    with pytest.raises(StateUnavailable):
        await shared.look()
    place.away = False
    place.changes.append(ONE)
    await clock.advance(POLL)
    assert heard == [[ONE]]
    task.cancel()
