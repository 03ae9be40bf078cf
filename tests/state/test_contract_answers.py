"""What every store promises about answers."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.answers import Answer, Change, Cleared, Removed, Selection, Stored
from tests.fakes.kept import answer
from tests.fakes.stores import Store, until


class Followed:
    """What a follower was told, in order."""

    def __init__(self, store: Store) -> None:
        self.changes: list[Change] = []
        self._store = store
        store.state.answers.follow(self.changes.extend)

    async def now(self) -> list[str]:
        """Return the changes so far, once a second has passed."""
        for _ in range(20):
            await self._store.look()
        return list(map(told, self.changes))

    async def here(self) -> set[str]:
        """Return the ids that are there if all changes are followed."""
        await self.now()
        ids: set[str] = set()
        for change in self.changes:
            if isinstance(change, Stored):
                ids.add(change.answer.id)
            elif isinstance(change, Removed):
                ids -= set(change.ids)
            else:
                ids.clear()
        return ids


def told(change: Change) -> str:
    if isinstance(change, Stored):
        return f"+{change.answer.id}"
    return "clear" if isinstance(change, Cleared) else f"-{' '.join(change.ids)}"


def fresh(store: Store, number: int, **changes: Any) -> Answer:
    """An answer that is good for an hour from now."""
    now = store.now()
    times = {"stored": now, "fresh_until": now + 1800, "gone_at": now + 3600}
    return answer(number, **{**times, **changes})


async def put(store: Store, *answers: Answer) -> None:
    for each in answers:
        store.state.answers.put(each)
    await store.state.answers.flush()


async def found(store: Store, **named: str) -> list[str]:
    return [each.id for each in await store.state.answers.find(Selection(**named), most=1000)]


async def test_an_answer_comes_back_just_as_it_was_put(store: Store) -> None:
    kept = fresh(
        store,
        1,
        tags=("faq", "it's"),
        corpora=("wiki",),
        context=(("chunk-1", "ab12"), ("chunk-2", "cd34")),
        question="Wie hei\u00dft \U0001f600?",
        body=bytes(range(256)) * 9,
        usage=None,
        micro_dollars=None,
    )
    await put(store, kept)
    assert await store.state.answers.get(kept.key) == kept
    assert await store.state.answers.get("another key") is None
    assert list(await store.state.answers.find(Selection(id=kept.id), most=1)) == [kept]


async def test_what_was_put_before_a_flush_is_found_after_it_in_any_number(store: Store) -> None:
    answers = [fresh(store, number) for number in range(250)]
    await put(store, *answers)
    assert [await store.state.answers.get(each.key) for each in answers] == answers


async def test_an_answer_takes_the_place_of_the_one_of_the_same_key(store: Store) -> None:
    followed = Followed(store)
    await put(store, fresh(store, 1))
    await put(store, fresh(store, 2, key=answer(1).key))
    kept = await store.state.answers.get(answer(1).key)
    assert kept is not None
    assert kept.id == "id-2"
    assert await found(store) == ["id-2"]
    assert await followed.here() == {"id-2"}


async def test_the_newest_are_found_first_and_no_more_than_asked_for(store: Store) -> None:
    now = store.now()
    for number in range(5):
        await put(store, fresh(store, number, stored=now + number))
    answers = await store.state.answers.find(Selection(), most=3)
    assert [each.id for each in answers] == ["id-4", "id-3", "id-2"]


async def test_an_answer_is_gone_when_its_time_is_over(store: Store) -> None:
    followed = Followed(store)
    await put(store, fresh(store, 1), fresh(store, 2, gone_at=store.now() + 9000))
    assert await followed.here() == {"id-1", "id-2"}
    await store.age(3700)
    assert await store.state.answers.get(answer(1).key) is None
    assert await found(store) == ["id-2"]
    await store.sweep_answers()
    assert await followed.here() == {"id-2"}
    assert store.state.answers.counts.expired == 1


KINDS: Sequence[tuple[dict[str, str], set[str]]] = [
    ({"tenant": "bob"}, {"id-2"}),
    ({"policy": "fast"}, {"id-3"}),
    ({"asked": "cheap"}, {"id-4"}),
    ({"model": "claude"}, {"id-5"}),
    ({"tag": "faq"}, {"id-6", "id-7"}),
    ({"tag": "it's"}, {"id-6"}),
    ({"corpus": "wiki"}, {"id-7", "id-8"}),
    ({"id": "id-1"}, {"id-1"}),
    ({"tag": "faq", "corpus": "wiki"}, {"id-7"}),
    ({"tenant": "bob", "tag": "faq"}, set()),
    ({"tenant": "acme", "id": "id-2"}, set()),
    ({"id": "id-99"}, set()),
    ({}, {f"id-{number}" for number in range(1, 9)}),
]


def one_of_each_kind(store: Store) -> list[Answer]:
    fields: list[dict[str, Any]] = [
        {},
        {"tenant": "bob"},
        {"policy": "fast"},
        {"asked": "cheap"},
        {"model": "claude"},
        {"tags": ("faq", "it's")},
        {"tags": ("faq",), "corpora": ("wiki",)},
        {"corpora": ("news", "wiki")},
    ]
    return [fresh(store, number, **each) for number, each in enumerate(fields, 1)]


@pytest.mark.parametrize(("named", "meant"), KINDS)
async def test_a_selection_finds_and_removes_what_it_means_and_nothing_else(
    store: Store, named: dict[str, str], meant: set[str]
) -> None:
    everything = one_of_each_kind(store)
    await put(store, *everything)
    followed, which = Followed(store), Selection(**named)
    assert await followed.here() == {each.id for each in everything}
    assert set(await found(store, **named)) == meant
    assert await store.state.answers.remove(which, dry_run=True) == len(meant)
    assert len(await found(store)) == 8
    assert await store.state.answers.remove(which) == len(meant)
    left = {each.id for each in everything} - meant
    assert set(await found(store)) == left
    assert await followed.here() == left
    for each in everything:
        assert (await store.state.answers.get(each.key) is None) == (each.id in meant)
    assert await store.state.answers.remove(which) == 0


async def test_an_answer_on_its_way_is_purged_too(store: Store) -> None:
    followed = Followed(store)
    store.state.answers.put(fresh(store, 1))
    await store.state.answers.remove(Selection(tenant="acme"))
    await store.state.answers.flush()
    assert await store.state.answers.get(answer(1).key) is None
    assert await followed.here() == set()


async def test_an_answer_that_is_newer_than_a_purge_is_kept(store: Store) -> None:
    await put(store, fresh(store, 1))
    await store.state.answers.remove(Selection(tenant="acme"))
    await put(store, fresh(store, 2), fresh(store, 3, stored=store.now() + 1))
    # In memory nothing is ever on its way.
    assert await found(store) == (["id-3", "id-2"] if store.kind == "memory" else ["id-3"])


async def test_what_there_is_is_summed_up_by_kind(store: Store) -> None:
    now = store.now()
    await put(
        store,
        *(fresh(store, number, stored=now + number) for number in range(3)),
        fresh(store, 7, tenant="bob", model="claude", body=b"x" * 5000),
    )
    acme, bob = await store.state.answers.held()
    assert (acme.tenant, acme.policy, acme.asked, acme.model) == ("acme", "default", "gpt", "gpt-5")
    assert (acme.answers, bob.tenant, bob.model, bob.answers) == (3, "bob", "claude", 1)
    assert acme.oldest == pytest.approx(now, abs=0.01)
    assert 6000 < bob.size < 10_000


async def test_who_follows_is_told_what_is_there_and_what_comes_in_order(store: Store) -> None:
    await put(store, fresh(store, 1), fresh(store, 2))
    followed = Followed(store)
    assert await followed.now() == ["+id-1", "+id-2"]
    await put(store, fresh(store, 3))
    await store.state.answers.remove(Selection(id="id-1"))
    await put(store, fresh(store, 4))
    told = await followed.now()
    assert told[:3] == ["+id-1", "+id-2", "+id-3"]
    assert set(told[3:-1]) == {"-id-1"}
    assert told[-1] == "+id-4"


async def test_the_oldest_of_the_largest_tenant_make_room(store: Store) -> None:
    """The limit is 1 MiB."""
    followed = Followed(store)
    await put(store, *(fresh(store, n, tenant="bob", body=b"x" * 5000) for n in range(-20, 0)))
    for start in range(0, 400, 40):
        await put(store, *(fresh(store, n, body=b"x" * 5000) for n in range(start, start + 40)))
    for _ in range(5):
        await store.sweep_answers()
    kept = [int(name[3:]) for name in await found(store)]
    ours = sorted(number for number in kept if number >= 0)
    assert sorted(number for number in kept if number < 0) == list(range(-20, 0))
    assert ours == list(range(400 - len(ours), 400))
    assert sum(each.size for each in await store.state.answers.held()) <= 1 << 20
    assert len(ours) > 80
    assert store.state.answers.counts.evicted == 400 - len(ours)
    assert await followed.here() == set(await found(store))


async def test_an_answer_that_is_too_large_is_dropped_and_that_is_told(store: Store) -> None:
    followed = Followed(store)
    store.state.answers.put(fresh(store, 1, body=b"x" * (256 << 10)))
    await store.state.answers.flush()
    assert await store.state.answers.get(answer(1).key) is None
    assert store.state.answers.counts.dropped == 1
    assert await followed.now() == ["-id-1"]


async def test_more_than_may_wait_is_dropped_counted_and_told(store: Store) -> None:
    if store.kind == "memory":
        pytest.skip("nothing waits there")
    followed = Followed(store)
    for number in range(400):
        store.state.answers.put(fresh(store, number, body=b"x" * 60_000))
    dropped = store.state.answers.counts.dropped
    assert 400 - (16 << 20) // 60_000 - 1 < dropped < 200
    assert [told(change) for change in followed.changes] == [
        f"-id-{number}" for number in range(400 - dropped, 400)
    ]
    await store.state.answers.flush()


async def test_a_hundred_at_once_disturb_nobody(store: Store) -> None:
    answers = store.state.answers

    async def one(number: int) -> bool:
        kept = fresh(store, number)
        answers.put(kept)
        await answers.flush()
        got = await answers.get(kept.key)
        assert await answers.remove(Selection(id=kept.id)) == 1
        return got == kept and await answers.get(kept.key) is None

    assert all(await asyncio.gather(*(one(number) for number in range(100))))


async def test_hundreds_that_ran_out_are_gone_with_the_next_sweep(store: Store) -> None:
    for start in range(0, 450, 90):
        small = [fresh(store, n, vector=b"", embedder="") for n in range(start, start + 90)]
        await put(store, *small)
    evicted = store.state.answers.counts.evicted
    await store.age(3700)
    await store.clock.advance(2.0)
    await until(lambda: store.state.answers.counts.expired + evicted == 450)
    assert await store.state.answers.held() == []
