"""Changes are seen whatever way the files are written, and read when the writer is done."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.policy.watch import POLL, QUIET, look, watch
from tests.fakes.clock import FakeClock

PATIENCE = (QUIET + 1) * POLL
"""Seconds within which a change is seen."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text("one")
    return tmp_path


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[FakeClock, list[str]]]:
    """Yield a clock and what the files held each time that a change was seen."""
    clock = FakeClock()
    seen: list[str] = []

    def content() -> str:
        return "".join(path.read_text() for path in sorted(folder.glob("*.yaml")))

    async def changed() -> None:
        seen.append(await asyncio.to_thread(content))

    known = await asyncio.to_thread(look, folder)
    task = asyncio.get_running_loop().create_task(watch(known, clock, changed))
    try:
        yield clock, seen
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def wait(clock: FakeClock, seconds: float = PATIENCE) -> None:
    """Let time pass in single polls: each one looks at the files in a thread."""
    for _ in range(round(seconds / POLL)):
        await clock.advance(POLL)
        await asyncio.sleep(0.02)


def written(folder: Path) -> None:
    (folder / "a.yaml").write_text("two")


def of_the_same_size_and_time(folder: Path) -> None:
    at = (folder / "a.yaml").stat()
    (folder / "a.yaml").write_text("two")
    os.utime(folder / "a.yaml", ns=(at.st_atime_ns, at.st_mtime_ns))


def renamed(folder: Path) -> None:
    (folder / "new").write_text("two")
    (folder / "new").rename(folder / "a.yaml")


def added(folder: Path) -> None:
    (folder / "b.yaml").write_text("")


def linked(folder: Path) -> None:
    (folder / "real").write_text("two")
    (folder / "link").symlink_to(folder / "real")
    (folder / "link").rename(folder / "a.yaml")


@pytest.mark.parametrize("change", [written, of_the_same_size_and_time, renamed, added, linked])
async def test_h06_every_way_to_change_a_file_is_seen_once(folder: Path, change: object) -> None:
    assert callable(change)
    async with watched(folder) as (clock, seen):
        await wait(clock)
        assert seen == []
        change(folder)
        await wait(clock, 4 * PATIENCE)
        assert len(seen) == 1


async def test_h06_a_link_to_another_folder_is_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(name)
    (tmp_path / "current").symlink_to(tmp_path / "one")
    async with watched(tmp_path / "current") as (clock, seen):
        (tmp_path / "next").symlink_to(tmp_path / "two")
        (tmp_path / "next").rename(tmp_path / "current")
        await wait(clock)
        assert seen == ["two"]


async def test_h06_who_writes_piece_by_piece_is_waited_for(folder: Path) -> None:
    async with watched(folder) as (clock, seen):
        with (folder / "a.yaml").open("w") as file:
            for piece in ("t", "w", "o", "!"):
                file.write(piece)
                file.flush()
                await wait(clock, POLL)
        assert seen == []
        await wait(clock)
        assert seen == ["two!"]


async def test_a_folder_that_is_gone_for_a_while_is_seen_again(folder: Path) -> None:
    async with watched(folder) as (clock, seen):
        folder.rename(folder.with_name("away"))
        await wait(clock)
        folder.with_name("away").rename(folder)
        (folder / "a.yaml").write_text("two")
        await wait(clock)
        assert seen == ["", "two"]


def test_other_files_and_dead_links_do_not_count(folder: Path) -> None:
    before = look(folder)
    (folder / "notes.txt").write_text("x")
    (folder / "b.yaml").symlink_to(folder / "nowhere")
    assert look(folder) == before


def test_a_file_that_yaml_may_name_counts(folder: Path) -> None:
    before = look(folder)
    (folder / "router.json").write_text("{}")
    assert look(folder) != before
