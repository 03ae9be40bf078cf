"""Records in one process."""

from gateway.core.audits import MOST, Record
from gateway.state.audits_memory import MemoryAudits


async def test_who_follows_later_hears_of_what_is_there() -> None:
    store, heard = MemoryAudits(), list[Record]()
    record = Record("a", 1, b"{}")
    assert await store.swap(record) is None
    store.follow(heard.extend)
    assert heard == [record]


async def test_the_one_that_changed_longest_ago_makes_room() -> None:
    store = MemoryAudits()
    for number in range(MOST):
        await store.swap(Record(str(number), 1, b"{}"))
    await store.swap(Record("0", 2, b"{}"))
    await store.swap(Record("new", 1, b"{}"))
    names = {record.name for record in await store.all()}
    assert len(names) == MOST
    assert {"0", "new"} <= names
    assert "1" not in names
