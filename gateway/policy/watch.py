"""Sees that files changed, by asking for their state: swaps, renames and links included."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

from gateway.core.ports import Clock

POLL: Final = 0.25
"""Seconds between two looks."""
QUIET: Final = 2
"""Looks that must find the same before files are read: who writes in place is then done."""

State: TypeAlias = frozenset[tuple[str, int, int, int, int, int]]
"""Name, device, inode, size and both times of every file; of what a link leads to."""


class Folder(Struct, frozen=True):
    """A folder and the state that its files were in: YAML, and JSON that YAML may name."""

    path: Path
    state: State


def look(path: Path) -> Folder:
    """Return the folder as it is now. Files that vanish meanwhile are not there."""
    found = set()
    for file in (*path.glob("*.yaml"), *path.glob("*.yml"), *path.glob("*.json")):
        try:
            at = file.stat()
        except OSError:
            continue
        found.add((file.name, at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
    return Folder(path, frozenset(found))


async def watch(folder: Folder, clock: Clock, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` whenever the files are not as they were and have stopped changing. Endless."""
    known = seen = folder.state
    quiet = 0
    while True:
        await clock.sleep(POLL)
        now = (await asyncio.to_thread(look, folder.path)).state
        quiet = quiet + 1 if now == seen else 0
        seen = now
        if quiet >= QUIET and now != known:
            known = now
            await changed()
