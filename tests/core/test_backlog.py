"""Work that nobody waits for never becomes much, and nobody's takes all the room."""

import asyncio

from gateway.core.backlog import AT_ONCE, EACH, WAITING, Backlog
from tests.fakes.clock import settle


class Yard:
    def __init__(self) -> None:
        self.backlog = Backlog()
        self.gate = asyncio.Event()
        self.done: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def offer(self, tenant: str, *, fails: bool = False) -> bool:
        async def work() -> None:
            await self.gate.wait()
            self.done.append(tenant)
            if fails:
                raise ValueError(tenant)

        return self.backlog.offer(
            tenant, work, lambda each: self.tasks.append(asyncio.create_task(each))
        )


async def test_so_much_is_done_at_once_and_the_rest_in_its_order() -> None:
    yard = Yard()
    assert all(yard.offer(f"t{number}") for number in range(AT_ONCE + 3))
    await settle()
    assert (yard.backlog.running, len(yard.backlog)) == (AT_ONCE, 3)
    yard.gate.set()
    await settle(30)
    assert yard.done == [f"t{number}" for number in range(AT_ONCE + 3)]
    assert (yard.backlog.running, len(yard.backlog)) == (0, 0)


async def test_what_there_is_no_room_for_is_not_taken() -> None:
    yard = Yard()
    taken = [yard.offer("greedy") for _ in range(100)]
    assert sum(taken) == AT_ONCE + EACH
    others = [yard.offer(f"t{number}") for number in range(100)]
    assert sum(others) == WAITING - EACH
    yard.gate.set()
    await settle(300)
    assert yard.offer("greedy")
    await settle()


async def test_work_that_fails_leaves_its_place() -> None:
    yard = Yard()
    for _ in range(AT_ONCE + 1):
        yard.offer("a", fails=True)
    yard.gate.set()
    await asyncio.gather(*yard.tasks, return_exceptions=True)
    await settle()
    assert all(isinstance(each.exception(), ValueError) for each in yard.tasks)
    assert (len(yard.tasks), yard.backlog.running) == (AT_ONCE + 1, 0)


async def test_when_the_process_goes_away_nothing_new_is_begun() -> None:
    yard = Yard()
    for _ in range(AT_ONCE + 5):
        yard.offer("a")
    await settle()
    for task in yard.tasks:
        task.cancel()
    await settle()
    assert (len(yard.tasks), len(yard.backlog), yard.done) == (AT_ONCE, 0, [])
