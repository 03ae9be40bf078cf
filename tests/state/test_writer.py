"""The thread behind SQLite: groups, failures, and files that are not to be had."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import StateUnavailable
from gateway.state.writer import Connection, Writer
from tests.fakes.clock import FakeClock


def prepare(connection: Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT UNIQUE)")


class Words:
    """Writes words; knows in which groups they came."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def apply(self, connection: Connection, words: Sequence[Any]) -> Sequence[Any]:
        self.groups.append(len(words))
        for word in words:
            connection.execute("INSERT INTO words VALUES (?)", (word,))
        return [f"<{word}>" for word in words]


@asynccontextmanager
async def writing(folder: Path, words: Words | None = None) -> AsyncIterator[Writer]:
    apply = (words or Words()).apply
    writer = Writer(
        *(folder / "words.db", prepare, apply, FakeClock()),
        durable=False,
        linger=1.0,
        patience=0.02,
    )
    await writer.start()
    try:
        yield writer
    finally:
        await writer.close()


def written(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "words.db")) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


def hold_lock(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "words.db", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def test_what_arrives_together_shares_one_transaction(tmp_path: Path) -> None:
    words = Words()
    async with writing(tmp_path, words) as writer:
        answers = await asyncio.gather(*(writer.ask(f"w{n:03}") for n in range(100)))
    assert answers == [f"<w{n:03}>" for n in range(100)]
    assert sum(words.groups) == 100
    assert len(words.groups) < 20
    assert await asyncio.to_thread(written, tmp_path) == [f"w{n:03}" for n in range(100)]


async def test_everything_that_was_handed_over_is_written_before_the_end(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        for number in range(2_000):
            writer.put(f"w{number:04}")
    assert len(await asyncio.to_thread(written, tmp_path)) == 2_000


async def test_one_impossible_change_does_not_take_its_neighbours_along(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(tmp_path) as writer:
        answers = await asyncio.gather(
            *(writer.ask(word) for word in ("a", "a", object(), "b", "\ud800")),
            return_exceptions=True,
        )
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, True, False, True]
    assert await asyncio.to_thread(written, tmp_path) == ["a", "b"]
    assert caplog.text.count("a change was dropped") == 3


async def test_while_the_file_cannot_be_written_askers_are_refused_and_the_rest_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(tmp_path) as writer:
        lock = await asyncio.to_thread(hold_lock, tmp_path)
        writer.put("settled")
        for _ in range(2):
            with pytest.raises(StateUnavailable, match=r"words.db cannot be written: database is"):
                await writer.ask("asked")
        with pytest.raises(StateUnavailable):
            await writer.flush()
        assert "cannot be written" in writer.problem
        assert await writer.read(lambda connection: connection.execute("SELECT 1").fetchone())
        await asyncio.to_thread(lock.close)
        while writer.problem:
            await asyncio.sleep(0.01)
        await writer.flush()
    assert await asyncio.to_thread(written, tmp_path) == ["settled"]
    assert caplog.text.count("cannot be written") == 1
    assert caplog.text.count("can be written again") == 1


async def test_what_could_not_be_written_until_the_end_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(tmp_path) as writer:
        lock = await asyncio.to_thread(hold_lock, tmp_path)
        writer.put("a")
        writer.put("b")
    await asyncio.to_thread(lock.close)
    assert "2 changes are lost" in caplog.text


async def test_a_question_that_cannot_be_answered_fails_alone(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        with pytest.raises(StateUnavailable, match="no such table: absent"):
            await writer.read(lambda connection: connection.execute("SELECT * FROM absent"))
        await writer.ask("a")


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    async with writing(tmp_path / "data") as writer:
        await writer.ask("a")
        paths = [tmp_path / "data", *(tmp_path / "data").iterdir()]
    assert len(paths) == 4
    assert [path.stat().st_mode & 0o077 for path in paths if path.exists()] == [0, 0]


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 400)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (newer, r"a newer Turnout made it \(version 99\)"),
        (garbage, "file is not a database"),
        (folder, "Is a directory"),
    ],
)
async def test_i11_a_file_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, damage: Any, reason: str
) -> None:
    await asyncio.to_thread(damage, tmp_path / "words.db")
    with pytest.raises(StateUnavailable, match=f"words.db cannot be used: .*{reason}"):
        async with writing(tmp_path):
            pass


async def test_nobody_is_told_twice_when_the_asker_has_left(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        asking = asyncio.ensure_future(writer.ask("a"))
        await asyncio.sleep(0)
        asking.cancel()
        await writer.flush()
    assert await asyncio.to_thread(written, tmp_path) == ["a"]
