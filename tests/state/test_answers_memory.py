"""Answers in memory: what a contract for all stores does not say."""

from typing import Any

from gateway.core.answers import Answer, Change, Removed, Selection, Stored
from gateway.state.answers_memory import MemoryAnswers
from tests.fakes.kept import NOW, answer


class Kept:
    def __init__(self, limit: int = 1 << 20) -> None:
        self.now = NOW
        self.store = MemoryAnswers(lambda: self.now, limit)
        self.changes: list[Change] = []
        self.store.follow(self.changes.extend)


async def test_followers_hear_at_once() -> None:
    kept = Kept()
    kept.store.put(answer(1))
    await kept.store.remove(Selection(tenant="acme"))
    assert kept.changes == [Stored(answer(1)), Removed(("id-1",))]


async def test_nothing_is_left_of_an_answer_that_was_replaced_evicted_or_ran_out() -> None:
    kept = Kept()
    body: dict[str, Any] = {"body": b"x" * 3000}
    for number in range(500):
        kept.store.put(answer(number, gone_at=NOW + 100 + number, **body))
        kept.store.put(answer(number, id=f"second-{number}", gone_at=NOW + 100 + number, **body))
    kept.now += 10_000
    kept.store.sweep()
    assert (await kept.store.find(Selection(), most=1)) == []
    assert (kept.store._answers, kept.store._due, len(kept.store._shelf)) == ({}, {}, 0)
    ids = {c.answer.id for c in kept.changes if isinstance(c, Stored)}
    gone = {name for c in kept.changes if isinstance(c, Removed) for name in c.ids}
    assert gone == ids
    assert kept.store.counts.evicted + kept.store.counts.expired == 500


async def test_a_large_one_takes_the_place_of_many_and_all_are_told() -> None:
    kept = Kept()
    small: list[Answer] = [answer(number) for number in range(400)]
    for each in small:
        kept.store.put(each)
    before = kept.store.counts.evicted
    kept.store.put(answer(900, body=b"x" * 120_000))
    assert kept.store.counts.evicted > before + 20
    here = {each.id for each in await kept.store.find(Selection(), most=1000)}
    gone = {name for c in kept.changes if isinstance(c, Removed) for name in c.ids}
    assert gone == {each.id for each in small} - here
    assert "id-900" in here
