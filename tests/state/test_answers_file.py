"""Answers in a file: shared, purged from the disk itself, and never a wrong one from a bad file."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import cast

import pytest

from gateway.core.answers import Answer, Cleared, Selection
from gateway.core.errors import StateUnavailable
from gateway.state.answers_file import AnswersFile
from tests.fakes.kept import VECTOR
from tests.fakes.stores import Store, open_store
from tests.state.test_contract_answers import Followed, found, fresh, put

CANARY = b"the canary sings at dawn"
SINGING = b"\x99\x88canary of floats" + VECTOR[18:]


def file_of(store: Store) -> AnswersFile:
    return cast("AnswersFile", store.state.answers)


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("answers.db*")))


async def half_a_second(store: Store) -> None:
    """Let the time pass after which a follower looks."""
    await store.clock.advance(0.5)
    with suppress(StateUnavailable):
        await file_of(store)._writer.flush()
    await asyncio.sleep(0.05)


async def test_another_process_hears_of_answers_and_purges_within_a_second(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as one, open_store("sqlite", tmp_path) as two:
        followed = Followed(two)
        await put(one, fresh(one, 1), fresh(one, 2))
        await half_a_second(two)
        async with asyncio.timeout(5):  # the clock stands; only the reading thread is waited for
            while len(followed.changes) < 2:
                await asyncio.sleep(0.01)
        await one.state.answers.remove(Selection(id="id-1"))
        assert await two.state.answers.get(fresh(one, 1).key) is None
        await half_a_second(two)
        assert await followed.here() == {"id-2"}


async def test_answers_survive_a_restart(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        kept = fresh(store, 1)
        store.state.answers.put(kept)
    async with open_store("sqlite", tmp_path) as store:
        assert await store.state.answers.get(kept.key) == kept
        assert await Followed(store).here() == {"id-1"}


async def test_b10_what_was_purged_is_gone_from_the_disk_vectors_too(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as one, open_store("sqlite", tmp_path) as two:
        await put(two, fresh(two, 0, tenant="bob"))
        for number in range(300):
            body = CANARY + b"x" * 30 * number
            one.state.answers.put(
                fresh(
                    one,
                    number + 1,
                    body=body[:9000],
                    question=CANARY.decode(),
                    vector=SINGING,
                )
            )
        await one.state.answers.flush()
        assert await two.state.answers.get(fresh(one, 300).key)
        before = on_disk(tmp_path)
        assert before.count(CANARY) >= 80
        assert before.count(SINGING[:18]) >= 80
        assert await two.state.answers.remove(Selection(tenant="acme")) > 80
        after = on_disk(tmp_path)
        assert (after.count(CANARY), after.count(SINGING[:18])) == (0, 0)
        assert await found(one) == ["id-0"]


async def test_a_file_is_for_its_owner_only(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        await put(store, fresh(store, 1))
        files = list(tmp_path.glob("answers.db*"))
        assert len(files) == 3
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_b11_a_damaged_row_is_not_served_but_counted_and_removed(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        await put(store, fresh(store, 1), fresh(store, 2), fresh(store, 3))
        await asyncio.to_thread(
            spoil,
            tmp_path,
            "UPDATE bodies SET row = substr(row, 1, 200) WHERE n = 1",
            "UPDATE bodies SET row = CAST(replace(hex(row), 'A', 'B') AS BLOB) WHERE n = 2",
        )
        assert await store.state.answers.get(fresh(store, 1).key) is None
        assert await Followed(store).here() == {"id-3"}
        assert await found(store) == ["id-3"]
        assert store.state.answers.counts.damaged == 2
        await file_of(store)._writer.flush()
        (held,) = await store.state.answers.held()
        assert held.answers == 1


def spoil(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "answers.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def filled(folder: Path) -> list[Answer]:
    async with open_store("sqlite", folder) as store:
        answers = [fresh(store, n, body=b"%04d" % n * 300, stored=1e9 + n) for n in range(60)]
        await put(store, *answers)
    return answers


async def served(folder: Path, answers: Sequence[Answer]) -> int:
    """Return how many a store on this file serves; each must be the right one."""
    count = 0
    async with open_store("sqlite", folder) as store:
        followed = Followed(store)
        right = {each.key: each for each in answers}
        for each in answers:
            try:
                got = await store.state.answers.get(each.key)
            except StateUnavailable:
                continue
            assert got in {None, each}
            count += got is not None
        for _ in range(3):
            await half_a_second(store)
        for change in followed.changes:
            kept = getattr(change, "answer", None)
            assert kept is None or right[kept.key] == kept
        new = fresh(store, 999)
        await put(store, new)
        assert await store.state.answers.get(new.key) == new
    return count


def mutants() -> Iterator[tuple[str, int]]:
    yield from (("flip", seed) for seed in range(10))
    yield from (("cut", seed) for seed in range(4))
    yield from (("noise", seed) for seed in range(4))
    yield "empty", 0


def mutated(good: bytes, how: str, seed: int) -> bytes:
    chance, data = Random(seed), bytearray(good)
    if how == "flip":
        for _ in range(24):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del data[chance.randrange(len(data)) :]
    elif how == "noise":
        start = chance.choice([0, 100, 4096 * chance.randrange(1, len(data) // 4096)])
        data[start : start + 4096] = chance.randbytes(4096)
    return b"" if how == "empty" else bytes(data)


async def test_b11_a_damaged_file_never_serves_a_wrong_answer_and_is_of_use_again(
    tmp_path: Path,
) -> None:
    answers = await filled(tmp_path)
    path = tmp_path / "answers.db"
    good = path.read_bytes()
    counts: dict[str, list[int]] = {}
    for how, seed in mutants():
        for old in tmp_path.glob("answers.db*"):
            old.unlink()
        path.write_bytes(mutated(good, how, seed))
        counts.setdefault(how, []).append(await served(tmp_path, answers))
    assert sum(counts["flip"]) > 10 * 10
    assert counts["empty"] == [0]


async def test_a_file_that_turns_bad_while_it_is_open_is_replaced_for_every_process(
    tmp_path: Path,
) -> None:
    async with open_store("sqlite", tmp_path) as one, open_store("sqlite", tmp_path) as two:
        await put(one, *(fresh(one, n) for n in range(50)))
        followed = [Followed(one), Followed(two)]
        for store in (one, two):
            await half_a_second(store)
        await asyncio.to_thread(destroy, tmp_path / "answers.db")
        for store in (one, two):
            await file_of(store)._writer.read(forget_pages)
        for store in (one, two, one, two, one, two):
            await half_a_second(store)
            with suppress(StateUnavailable):
                assert await store.state.answers.get(fresh(one, 7).key) is None
        assert all(Cleared() in each.changes for each in followed)
        new = fresh(one, 999)
        await put(one, new)
        assert await two.state.answers.get(new.key) == new
        assert await followed[1].here() == {"id-999"}


def forget_pages(connection: sqlite3.Connection) -> None:
    """Have it read the file again, which it would do in time."""
    connection.execute("PRAGMA shrink_memory")


def destroy(path: Path) -> None:
    """Fill the file with noise, behind SQLite's back, and leave no log to heal it."""
    for name in (path, path.with_name(path.name + "-wal")):
        with name.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.write(Random(1).randbytes(size))


async def test_a_file_that_cannot_be_read_makes_followers_forget_and_come_back(
    tmp_path: Path,
) -> None:
    async with open_store("sqlite", tmp_path) as store:
        await put(store, fresh(store, 1))
        followed = Followed(store)
        await half_a_second(store)
        await asyncio.to_thread(spoil, tmp_path, "ALTER TABLE numbers RENAME TO hidden")
        for _ in range(3):
            await half_a_second(store)
        assert followed.changes[1:] == [Cleared()]
        await asyncio.to_thread(spoil, tmp_path, "ALTER TABLE hidden RENAME TO numbers")
        await put(store, fresh(store, 2))
        await half_a_second(store)
        assert await followed.here() == {"id-2"}


async def test_answers_that_cannot_be_written_are_dropped_and_told(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        followed = Followed(store)
        await asyncio.to_thread(spoil, tmp_path, "ALTER TABLE answers RENAME TO hidden")
        store.state.answers.put(fresh(store, 1))
        with pytest.raises(StateUnavailable):
            await store.state.answers.flush()
        await asyncio.to_thread(spoil, tmp_path, "ALTER TABLE hidden RENAME TO answers")
        assert await followed.now() == ["-id-1"]
        assert store.state.answers.counts.dropped == 1
        await put(store, fresh(store, 2))
        assert await found(store) == ["id-2"]


async def test_a_file_of_a_later_version_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path):
        pass
    spoil(tmp_path, "PRAGMA user_version = 9")
    with pytest.raises(StateUnavailable) as refused:
        async with open_store("sqlite", tmp_path):
            pass
    assert "a newer Turnout made it" in str(refused.value.detail)


async def test_a_file_that_cannot_be_opened_anew_is_tried_until_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    async with open_store("sqlite", tmp_path) as store:
        Followed(store)
        await put(store, fresh(store, 1))
        path.rename(tmp_path / "elsewhere")
        path.mkdir()
        for _ in range(2):
            await half_a_second(store)
            with pytest.raises(StateUnavailable):
                await store.state.answers.get(fresh(store, 1).key)
        path.rmdir()
        for old in tmp_path.glob("answers.db-*"):
            old.unlink()
        await half_a_second(store)
        await put(store, fresh(store, 2))
        assert await found(store) == ["id-2"]
