"""The files of the traffic log: a folder for each policy and tenant, new files as they grow old.

`traffic/POLICY/TENANT/20261121T22-7d-WORKER-3.jsonl` holds lines of one hour and one process and
may be kept for 7 days; so nobody writes where another does, and who sweeps needs no configuration.
"""

import os
import re
from calendar import timegm
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from gateway.core.traffic import Keep

LARGEST: Final = 16 << 20
"""Bytes of a file; a sixteenth of what may be kept, where that is less."""
_LONGEST: Final = 120
_NAME: Final = re.compile(r"(\d{8}T\d{2})-(\d{1,4})d-[A-Za-z0-9]+-(\d+)\.jsonl")
_DAY: Final = 86_400


class _Held(Struct, frozen=True, order=True):
    """A file that is there, the oldest the least."""

    begun: float
    number: int
    path: Path
    days: int
    size: int


class TrafficFiles:
    """Appends to files below `root` and deletes those that are too old or too many."""

    def __init__(self, root: Path, worker: str) -> None:
        """`worker` names this process among all that write here, in letters and digits."""
        self._root = root
        self._worker = worker
        self._numbers: dict[tuple[str, str, str], int] = {}

    @property
    def there(self) -> bool:
        """Whether anything was ever written."""
        return self._root.is_dir()

    def append(self, policy: str, tenant: str, keep: Keep, lines: bytes, now: float) -> None:
        """Write whole lines at `now` (seconds since 1970), or nothing. Raises OSError."""
        hour = _hour(now)
        key = (policy, tenant, hour)
        number = self._numbers.setdefault(key, 0)
        name = f"{hour}-{keep.days}d-{self._worker}-{number}.jsonl"
        file = _open(self._root / _safe(policy) / _safe(tenant), name)
        try:
            before = os.fstat(file).st_size
            _write(file, lines, before)
            if before + len(lines) >= min(LARGEST, keep.size // 16):
                self._numbers[key] = number + 1
        finally:
            os.close(file)

    def sweep(self, kept: Mapping[str, Keep], now: float) -> int:
        """Delete what is too old or too much and return how many files that were.

        `kept` says by policy what holds now, of those that record; for others what their files say.
        """
        rules = {_safe(policy): keep for policy, keep in kept.items()}
        self._numbers = {
            key: number for key, number in self._numbers.items() if key[2] == _hour(now)
        }
        gone = 0
        for folder in _folders(self._root):
            keep = rules.get(folder.name)
            held = sorted(_files(folder))
            total = sum(each.size for each in held)
            for each in held:
                days = each.days if keep is None else min(each.days, keep.days)
                much = keep is not None and total > keep.size
                if each.begun + days * _DAY <= now or much:
                    each.path.unlink(missing_ok=True)
                    total -= each.size
                    gone += 1
            _tidy(folder)
        return gone


def _hour(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H")


def _open(folder: Path, name: str) -> int:
    """Open a file to append, that its owner alone can read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    _make(folder)
    try:
        return os.open(folder / name, flags, 0o600)
    except FileNotFoundError:  # another worker has just tidied up
        _make(folder)
        return os.open(folder / name, flags, 0o600)


def _make(folder: Path) -> None:
    """Make the folder of a tenant, its policy's and the log's; `parents` would leave those open."""
    for path in (folder.parent.parent, folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(file: int, lines: bytes, before: int) -> None:
    """Append all or nothing: half a line would spoil the next one."""
    rest = memoryview(lines)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        os.ftruncate(file, before)
        raise


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (path for path in sorted(root.iterdir()) if path.is_dir())


def _files(folder: Path) -> Iterator[_Held]:
    """Yield the files of one policy; those that are no traffic log are left alone."""
    for path in folder.glob("*/*.jsonl"):
        found = _NAME.fullmatch(path.name)
        try:
            size = path.stat(follow_symlinks=False).st_size
        except FileNotFoundError:  # another worker was there first
            continue
        if found is not None:
            begun = timegm(datetime.strptime(found[1], "%Y%m%dT%H").replace(tzinfo=UTC).timetuple())
            yield _Held(begun, int(found[3]), path, int(found[2]), size)


def _tidy(folder: Path) -> None:
    """Remove folders in which nothing is left."""
    for path in (*(each for each in folder.iterdir() if each.is_dir()), folder):
        try:
            path.rmdir()
        except OSError:  # not empty, or somebody was there first
            continue


def _safe(name: str) -> str:
    """Return a name that is one part of a path and no other name's, whatever stands in it."""
    safe = quote(name, safe="")
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe) > _LONGEST:
        safe = f"{safe[:_LONGEST]}~{sha256(name.encode()).hexdigest()[:16]}"
    return safe or "%"
