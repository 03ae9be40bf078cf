"""The index: hard scopes, one budget, wrong vectors refused, searches that never meet a write."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.semantic.index import index as index_module
from gateway.semantic.index.index import SWEEP, Index
from gateway.semantic.index.scope import Merge
from gateway.semantic.index.sealed import Sealed
from tests.fakes.clock import FakeClock
from tests.fakes.stores import until
from tests.semantic.index.vectors import DIMENSIONS, unit

LARGE = 1 << 30


@pytest.fixture
async def index() -> AsyncIterator[Index]:
    index = Index(DIMENSIONS, LARGE)
    await index.warm()
    yield index
    await index.aclose()


def _bytes(seed: int) -> bytes:
    return unit(seed).astype("<f4").tobytes()


async def _names(index: Index, scope: str, seed: int, most: int = 3) -> list[str]:
    return [near.id for near in await index.search(scope, _bytes(seed), most)]


async def test_what_is_added_is_found_at_once_and_what_is_removed_is_not(index: Index) -> None:
    assert index.add("a", "one", _bytes(1), "acme")
    (near,) = await index.search("a", _bytes(1), 3)
    assert near.id == "one"
    assert near.cosine == pytest.approx(1)
    index.remove("one")
    index.remove("one")
    assert await _names(index, "a", 1) == []


async def test_scopes_never_meet(index: Index) -> None:
    for number in range(600):
        index.add(f"scope {number % 2}", f"n{number}", _bytes(number), "acme")
    found = await _names(index, "scope 1", 0, 600)
    assert len(found) == 300
    assert all(int(name[1:]) % 2 for name in found)
    assert await _names(index, "scope 3", 0) == []


async def test_a_scope_goes_with_its_last_vector(index: Index) -> None:
    empty = index.size
    for number in range(500):
        index.add(f"scope {number}", f"n{number}", _bytes(number), "acme")
    assert index.scopes == 500
    for number in range(500):
        index.remove(f"n{number}")
    assert (index.scopes, len(index), index.size) == (0, 0, empty)


async def test_a_name_that_comes_again_moves(index: Index) -> None:
    index.add("a", "one", _bytes(1), "acme")
    index.add("b", "one", _bytes(2), "acme")
    assert await _names(index, "a", 1) == []
    assert await _names(index, "b", 2) == ["one"]
    assert len(index) == 1


@pytest.mark.parametrize(
    "vector",
    [
        b"",
        _bytes(1)[:-4],
        _bytes(1) + b"\0" * 4,
        b"\0" * 4 * DIMENSIONS,
        (unit(1) * 1.01).astype("<f4").tobytes(),
        (unit(1) * 0.99).astype("<f4").tobytes(),
        np.full(DIMENSIONS, np.nan, "<f4").tobytes(),
        np.array([np.inf, *unit(1)[1:]], "<f4").tobytes(),
        np.array([3e38] * DIMENSIONS, "<f4").tobytes(),
    ],
    ids=["empty", "short", "long", "zero", "longer", "shorter", "nan", "infinite", "overflow"],
)
async def test_a_wrong_vector_is_refused_counted_and_finds_nothing(
    index: Index, vector: bytes
) -> None:
    index.add("a", "right", _bytes(1), "acme")
    assert not index.add("a", "wrong", vector, "acme")
    assert index.counts["refused"] == 1
    assert not await index.search("a", vector, 3)
    assert await _names(index, "a", 1) == ["right"]


async def test_a_norm_off_by_less_than_a_thousandth_is_taken(index: Index) -> None:
    assert index.add("a", "one", (unit(1) * 1.0009).astype("<f4").tobytes(), "acme")


async def test_nothing_is_nearest_to_nothing(index: Index) -> None:
    index.add("a", "one", _bytes(1), "acme")
    assert not await index.search("a", _bytes(1), 0)


async def test_over_its_budget_what_came_first_goes_first() -> None:
    index = Index(DIMENSIONS, 200_000)
    for number in range(1000):
        index.add(f"scope {number // 100}", f"n{number}", _bytes(number), "acme")
    assert index.size <= 200_000
    assert len(index) + index.counts["evicted"] == 1000
    kept = [
        n
        for n in range(1000)
        if await _names(index, f"scope {n // 100}", n) == [f"n{n}"]
        or f"n{n}" in await _names(index, f"scope {n // 100}", n)
    ]
    assert kept == list(range(1000 - len(index), 1000))
    assert index.scopes == len({n // 100 for n in kept})
    await until(lambda: not any(scope.merging for scope in index._scopes.values()))
    await index.aclose()


async def test_b13_who_adds_without_end_loses_what_is_its_own() -> None:
    index = Index(DIMENSIONS, 200_000)
    for number in range(30):
        index.add("quiet", f"q{number}", _bytes(number), "quiet")
    for number in range(1000):
        index.add("loud", f"l{number}", _bytes(number), "loud")
    for number in range(1000):
        index.add(f"loud {number}", f"m{number}", _bytes(number), "loud")
    assert index.size <= 200_000
    for number in range(30):
        assert f"q{number}" in await _names(index, "quiet", number)
    assert set(index._owners) == {"quiet", "loud"}
    assert await _names(index, "loud 999", 999) == ["m999"]
    await until(lambda: not any(scope.merging for scope in index._scopes.values()))
    await index.aclose()


async def test_owners_of_one_scope_are_told_apart_too() -> None:
    index = Index(DIMENSIONS, 100_000)
    for number in range(10):
        index.add("shared", f"q{number}", _bytes(number), "quiet")
    for number in range(500):
        index.add("shared", f"l{number}", _bytes(number), "loud")
    for number in range(10):
        assert f"q{number}" in await _names(index, "shared", number)
    await until(lambda: not any(scope.merging for scope in index._scopes.values()))
    await index.aclose()


async def test_a_budget_for_nothing_holds_nothing() -> None:
    index = Index(DIMENSIONS, 10)
    assert not index.add("a", "one", _bytes(1), "acme")
    assert (len(index), index.size) == (0, 0)
    await index.aclose()


async def test_searches_of_large_scopes_run_elsewhere_and_only_so_many_wait(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "INLINE", 10)
    monkeypatch.setattr(index_module, "_WAITING", 2)
    for number in range(300):
        index.add("a", f"n{number}", _bytes(number), "acme")
    searches = [asyncio.create_task(index.search("a", _bytes(n), 1)) for n in range(3)]
    results = await asyncio.gather(*searches)
    assert [len(found) for found in results] == [1, 1, 0]
    assert index.counts["crowded"] == 1
    assert await _names(index, "a", 5, 1) == ["n5"]


async def test_who_leaves_a_search_frees_its_place(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "INLINE", 0)
    monkeypatch.setattr(index_module, "_WAITING", 1)
    index.add("a", "one", _bytes(1), "acme")
    search = asyncio.create_task(index.search("a", _bytes(1), 1))
    await asyncio.sleep(0)
    search.cancel()
    await asyncio.gather(search, return_exceptions=True)
    assert await _names(index, "a", 1) == ["one"]


async def test_what_was_cleared_during_a_search_is_not_found(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "INLINE", 0)
    index.add("a", "one", _bytes(1), "acme")
    search = asyncio.create_task(index.search("a", _bytes(1), 1))
    await asyncio.sleep(0)
    index.clear()
    assert not await search
    assert (len(index), index.scopes, index.size) == (0, 0, 0)
    index.add("a", "two", _bytes(1), "acme")
    assert await _names(index, "a", 1) == ["two"]


async def test_the_dead_are_swept_within_a_minute(index: Index) -> None:
    clock = FakeClock()
    for number in range(1000):
        index.add("a", f"n{number}", _bytes(number), "acme")
    scope = index._scopes["a"]
    await until(lambda: not scope.merging)
    index.remove("n1")
    assert scope.dead == 1
    keeping = asyncio.create_task(index.keep(clock))
    await asyncio.sleep(0)
    await clock.advance(SWEEP)
    await until(lambda: not scope.dead and not scope.merging)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_build_that_fails_is_counted_and_nothing_is_lost(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_merge: Merge) -> Sealed:
        raise MemoryError

    monkeypatch.setattr(Merge, "run", fail)
    for number in range(300):
        index.add("a", f"n{number}", _bytes(number), "acme")
    await until(lambda: index.counts["failed"] > 0)
    assert await _names(index, "a", 250, 1) == ["n250"]


async def test_searches_beside_adds_and_removes_find_what_is_there_throughout() -> None:
    """B12: nothing that stays is ever missed, nothing that went is ever found."""
    index = Index(DIMENSIONS, LARGE)
    for number in range(0, 4000, 2):
        index.add("a", f"n{number}", _bytes(number), "acme")
    gone: set[str] = set()

    async def churn() -> None:
        for number in range(1, 4000, 2):
            index.add("a", f"n{number}", _bytes(number), "acme")
            if number % 8 == 1:
                index.remove(f"n{number}")
                gone.add(f"n{number}")
            if number % 64 == 1:
                await asyncio.sleep(0)

    async def look(first: int) -> None:
        for number in range(first, 4000, 80):
            names = await _names(index, "a", number, 8)
            assert names[0] == f"n{number}"
            assert gone.isdisjoint(names)
            await asyncio.sleep(0)

    await asyncio.gather(churn(), *(look(first) for first in range(0, 80, 10)))
    assert len(index) == 4000 - len(gone)
    await index.aclose()


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "search", "merge"]),
        st.integers(0, 3),
        st.integers(0, 40),
    ),
    max_size=120,
)


@given(steps=STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_it_finds_what_comparing_with_each_would_find(steps: list[Step]) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps: list[Step]) -> None:
    index = Index(DIMENSIONS, LARGE)
    model: dict[str, tuple[str, int]] = {}
    for round_, (what, scope, number) in enumerate(steps):
        name, where = f"n{number}", f"s{scope}"
        if what == "add":
            index.add(where, name, _bytes(number + 100 * (round_ % 3)), "acme")
            model[name] = (where, number + 100 * (round_ % 3))
        elif what == "remove":
            index.remove(name)
            model.pop(name, None)
        elif what == "merge" and where in index._scopes and not index._scopes[where].merging:
            index._merge(where, index._scopes[where])
            await asyncio.sleep(0)
        else:
            here = {n: unit(seed) @ unit(number) for n, (w, seed) in model.items() if w == where}
            expected = sorted(here.values(), reverse=True)[:5]
            found = await index.search(where, _bytes(number), 5)
            assert [near.cosine for near in found] == pytest.approx(expected, abs=2e-3)
            assert all(here[near.id] == pytest.approx(near.cosine, abs=2e-3) for near in found)
    await index.aclose()
