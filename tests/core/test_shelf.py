"""The answers at hand: bounded in bytes whatever comes, fair to tenants, least used go first."""

import os
import tracemalloc
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.core.answers import Answer
from gateway.core.shelf import ENTRY_SIZE, LARGEST, RAW_SIZE, RAWS, Shelf
from tests.fakes.kept import NOW, answer

SIZE = answer(1).size + ENTRY_SIZE
"""About what one of these takes."""


def shelf_of(answers: float, *kept: Answer) -> Shelf:
    shelf = Shelf(int(answers * SIZE) + 200)
    for each in kept:
        shelf.put(each)
    return shelf


def ids(shelf: Shelf, numbers: Sequence[int]) -> list[int]:
    return [number for number in numbers if shelf.by_id(f"id-{number}", NOW) is not None]


def test_an_answer_is_found_by_key_by_id_and_by_raw_request() -> None:
    shelf, kept = shelf_of(20), answer(1)
    shelf.put(kept, b"raw")
    assert shelf.get(kept.key, NOW) is kept
    assert shelf.by_id("id-1", NOW) is kept
    assert shelf.raw(b"raw", NOW) is kept
    assert shelf.raw(b"other", NOW) is None


def test_an_answer_whose_time_ran_out_is_not_returned_and_takes_no_room() -> None:
    shelf, kept = shelf_of(20), answer(1)
    shelf.put(kept, b"raw")
    assert shelf.raw(b"raw", kept.gone_at - 0.001) is kept
    assert shelf.raw(b"raw", kept.gone_at) is None
    assert (len(shelf), shelf.size, shelf.sizes()) == (0, 0, {})


def test_a_newer_answer_of_the_same_key_takes_over_the_requests_that_led_to_the_old_one() -> None:
    shelf = shelf_of(20)
    shelf.put(answer(1), b"raw")
    newer = answer(2, key=answer(1).key)
    shelf.put(newer)
    assert shelf.raw(b"raw", NOW) is newer
    assert ids(shelf, [1, 2]) == [2]
    assert shelf.size == newer.size + ENTRY_SIZE + RAW_SIZE


def test_putting_it_again_with_another_request_adds_that_request() -> None:
    shelf, kept = shelf_of(20), answer(1)
    for number in range(RAWS + 1):
        shelf.put(kept, bytes([number]))
    assert shelf.raw(b"\x00", NOW) is None
    assert all(shelf.raw(bytes([number]), NOW) is kept for number in range(1, RAWS + 1))
    assert shelf.size == kept.size + ENTRY_SIZE + RAWS * RAW_SIZE


def test_removed_ids_are_gone_in_every_respect() -> None:
    shelf = shelf_of(20, answer(1), answer(2))
    shelf.put(answer(1), b"raw")
    shelf.remove(["id-1", "never here"])
    assert ids(shelf, [1, 2]) == [2]
    assert shelf.raw(b"raw", NOW) is None
    shelf.clear()
    assert (len(shelf), shelf.size, ids(shelf, [2])) == (0, 0, [])


def test_when_room_runs_out_what_was_unused_longest_goes() -> None:
    shelf = shelf_of(10, *map(answer, range(10)))
    shelf.get(answer(0).key, NOW)
    shelf.by_id("id-1", NOW)
    assert shelf.put(answer(10)) == ["id-2"]
    assert shelf.put(answer(11)) == ["id-3"]
    assert ids(shelf, range(12)) == [0, 1, *range(4, 12)]
    assert shelf.evictions == 2


def test_an_answer_larger_than_an_eighth_of_all_room_is_not_kept() -> None:
    shelf = shelf_of(16, *map(answer, range(16)))
    room = (16 * SIZE + 200) // LARGEST - SIZE
    assert not shelf.put(answer(20, body=b"x" * (room + 100)))
    assert len(shelf) == 16
    assert shelf.put(answer(21, body=b"x" * (room - 100)))
    assert ids(shelf, [20, 21]) == [21]


def test_one_tenant_may_take_all_room_while_nobody_else_needs_it() -> None:
    shelf = shelf_of(100, *map(answer, range(100)))
    assert (len(shelf), shelf.evictions) == (100, 0)


def test_b13_a_tenant_that_stores_without_end_evicts_its_own_only() -> None:
    shelf = Shelf(8 << 20)
    for number in range(-100, 0):
        shelf.put(answer(number, tenant="bob"))
    for number in range(20_000):
        shelf.put(answer(number))
    assert ids(shelf, range(-100, 0)) == list(range(-100, 0))
    assert shelf.size <= 8 << 20
    assert shelf.evictions == 20_100 - len(shelf)


def test_a_newcomer_gets_its_share_of_a_full_shelf() -> None:
    shelf = shelf_of(100, *map(answer, range(100)))
    for number in range(100, 300):
        shelf.put(answer(number, tenant="bob"))
    acme, bob = (shelf.sizes()[name] for name in ("acme", "bob"))
    assert 0.3 < acme / bob < 3


def test_what_it_says_it_takes_is_what_it_takes() -> None:
    """Real memory is between two thirds and all of what is counted."""

    def fresh(number: int) -> Answer:
        names = {name: f"{name}-{number}" for name in ("policy", "group", "asked", "model")}
        kept: dict[str, Any] = {"body": os.urandom(1500), "vector": os.urandom(1536)}
        return answer(number, id=os.urandom(16).hex(), scope=os.urandom(32).hex(), **names, **kept)

    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        shelf = Shelf(4 << 20)
        for number in range(3000):
            shelf.put(fresh(number), os.urandom(16))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert shelf.evictions > 1000
    assert shelf.size * 2 / 3 < taken < shelf.size


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 4000)), max_size=300))
def test_who_has_less_than_half_of_the_largest_loses_nothing(
    puts: list[tuple[str, int]],
) -> None:
    shelf = shelf_of(16)
    owners: dict[str, str] = {}
    for number, (tenant, length) in enumerate(puts):
        kept = answer(number, tenant=tenant, body=b"x" * length)
        before = shelf.sizes()
        before[tenant] = before.get(tenant, 0) + kept.size + ENTRY_SIZE
        for name in shelf.put(kept):
            loser = owners.get(name, tenant)
            assert 2 * before[loser] >= max(before.values())
            before = shelf.sizes()
            break
        owners[kept.id] = tenant


class Anything(RuleBasedStateMachine):
    """Whatever is done in whatever order, sizes add up and nothing is left over."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf(12 * SIZE)
        self.now = NOW

    @rule(
        number=st.integers(0, 30),
        copy=st.integers(0, 2),
        tenant=st.sampled_from("abc"),
        length=st.integers(0, 3000),
        raw=st.none() | st.integers(0, 20),
    )
    def put(self, number: int, copy: int, tenant: str, length: int, raw: int | None) -> None:
        key = f"{tenant}{number}"
        kept = answer(
            number,
            id=f"{key}/{copy}",
            key=key,
            tenant=tenant,
            body=b"x" * length,
            gone_at=NOW + 100 * number,
        )
        gone = self.shelf.put(kept, None if raw is None else bytes([raw]))
        assert all(self.shelf.by_id(name, self.now) is None for name in gone)

    @rule(number=st.integers(0, 30), tenant=st.sampled_from("abc"))
    def get(self, number: int, tenant: str) -> None:
        found = self.shelf.get(f"{tenant}{number}", self.now)
        assert found is None or (found.key, found.tenant) == (f"{tenant}{number}", tenant)
        assert found is None or found.gone_at > self.now

    @rule(raw=st.integers(0, 20))
    def raw(self, raw: int) -> None:
        found = self.shelf.raw(bytes([raw]), self.now)
        assert found is None or self.shelf.by_id(found.id, self.now) is found

    @rule(number=st.integers(0, 30), tenant=st.sampled_from("abc"), copy=st.integers(0, 2))
    def remove(self, number: int, tenant: str, copy: int) -> None:
        self.shelf.remove([f"{tenant}{number}/{copy}"])
        assert self.shelf.by_id(f"{tenant}{number}/{copy}", self.now) is None

    @rule(seconds=st.integers(1, 500))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def sizes_add_up_and_are_bounded(self) -> None:
        shelf = self.shelf
        entries = list(shelf._by_key.values())
        assert shelf.size <= 12 * SIZE
        assert shelf.size == sum(entry.size for entry in entries) == sum(shelf.sizes().values())
        assert all(e.size == e.answer.size + ENTRY_SIZE + RAW_SIZE * len(e.raws) for e in entries)
        assert len(shelf._by_raw) == sum(len(entry.raws) for entry in entries)
        assert len(shelf._by_id) == len(entries)
        assert set(shelf._tenants) == set(shelf.sizes())


TestAnything = Anything.TestCase
