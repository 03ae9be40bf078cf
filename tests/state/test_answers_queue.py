"""What waits to be written: in order, in groups, bounded, and lost only with a word."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.answers import Answer
from gateway.core.errors import StateUnavailable
from gateway.state.answers_queue import GROUP, LINGER, NUMBER, WAITING, Queue
from tests.fakes.clock import FakeClock, settle
from tests.fakes.kept import answer


class Written:
    """A store that keeps groups, or fails."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.lost: list[str] = []
        self.fails = False
        self.queue = Queue(self.write, lambda lost: self.lost.extend(each.id for each in lost))

    async def write(self, answers: Sequence[Answer]) -> None:
        if self.fails:
            raise StateUnavailable("away")
        self.groups.append([each.id for each in answers])

    def put(self, *numbers: int, size: int = 100) -> list[bool]:
        return [self.queue.put(answer(number, body=b"x" * size)) for number in numbers]


async def test_a_flush_writes_all_that_waits_in_order_and_in_groups() -> None:
    written = Written()
    written.put(*range(250))
    await written.queue.flush()
    assert [len(group) for group in written.groups] == [NUMBER, NUMBER, 50]
    assert [name for group in written.groups for name in group] == [
        f"id-{number}" for number in range(250)
    ]


async def test_a_group_is_bounded_in_bytes_but_never_empty() -> None:
    written = Written()
    written.put(1, 2, 3, 4, size=GROUP // 2)
    written.put(5, size=2 * GROUP)
    written.put(6, 7)
    await written.queue.flush()
    assert written.groups == [["id-1"], ["id-2"], ["id-3"], ["id-4"], ["id-5"], ["id-6", "id-7"]]


async def test_what_comes_is_written_soon_without_being_asked_for() -> None:
    written, clock = Written(), FakeClock()
    keeping = asyncio.ensure_future(written.queue.keep_written(clock))
    written.put(1)
    await clock.advance(LINGER / 2)
    written.put(2)
    assert written.groups == []
    await clock.advance(LINGER / 2)
    assert written.groups == [["id-1", "id-2"]]
    written.fails = True
    written.put(3)
    await clock.advance(LINGER)
    written.fails = False
    written.put(4)
    await clock.advance(LINGER)
    assert written.groups[1:] == [["id-4"]]
    assert written.lost == ["id-3"]
    keeping.cancel()
    await settle()


async def test_no_more_is_taken_than_may_wait_and_room_comes_back() -> None:
    written = Written()
    size = WAITING // 8
    assert written.put(*range(8), size=size) == [True] * 7 + [False]
    written.fails = True
    with pytest.raises(StateUnavailable):
        await written.queue.flush()
    assert written.lost == [f"id-{number}" for number in range(7)]
    assert written.put(*range(7), size=size) == [True] * 7
