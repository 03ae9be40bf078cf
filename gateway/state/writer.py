"""A thread that owns an SQLite connection: what arrives together shares one transaction."""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from gateway.core.errors import StateUnavailable
from gateway.core.ports import Clock, Timer

GROUP: Final = 512
"""Operations after which a transaction takes no more."""
BUSY: Final = 2_000
"""Milliseconds to wait for another process's transaction."""
RETRY: Final = 0.25
"""Seconds between two tries to write what must be written."""
MAX_KEPT: Final = 100_000
"""Operations that wait for a file that cannot be written; the oldest beyond it are lost."""
SCHEMA_VERSION: Final = 1
PUBLIC: Final = "The gateway cannot reach its own storage. Try again."

Connection = sqlite3.Connection
Apply = Callable[[Connection, Sequence[Any]], Sequence[Any]]
Prepare = Callable[[Connection], None]
Read = Callable[[Connection], Any]
Future = asyncio.Future[Any]
_PRIMARY: Final = 0xFF
"""The bits of an SQLite error's code that say what it is, rather than where."""
_log = logging.getLogger(__name__)


class _Job(Struct):
    work: Any
    """An operation for `apply`, a function that only reads, or None: say when it is its turn."""
    future: Future | None = None
    reads: bool = False


class Writer:
    """Applies operations in the order they came, in groups, each group in one transaction.

    `apply` gets a group and returns a result for each; an exception among them is raised to who
    asked. When it raises, the group's operations are tried again one by one. With `durable` an
    answer means that the disk has it; without it the end of the process loses nothing, but a power
    failure may lose the last seconds. `problem` says why the file cannot be written, else nothing;
    `damaged` tells that it was found not to be a database, or not a whole one, any more.
    """

    def __init__(
        self,
        path: Path,
        prepare: Prepare,
        apply: Apply,
        clock: Clock,
        *,
        durable: bool,
        linger: float,
    ) -> None:
        """`prepare` runs first, in a transaction, and makes the tables that are not there yet.

        What nobody waits for is written with the next thing that somebody asks for, after `linger`
        seconds at the latest.
        """
        self.problem = ""
        self.damaged = False
        self._path = path
        self._prepare = prepare
        self._apply = apply
        self._durable = durable
        self._clock = clock
        self._linger = linger
        self._waiting: list[_Job] = []
        self._timer: Timer | None = None
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=path.name, daemon=True)

    async def start(self) -> None:
        """Open the file. Raises StateUnavailable saying what is wrong with it."""
        self.run()
        try:
            await self.flush()
        except StateUnavailable:
            await self.close()
            raise

    def run(self) -> None:
        """Open the file and begin; while it cannot be used everybody gets StateUnavailable."""
        self._thread.start()

    def put(self, operation: object) -> None:
        """Have it done; it is tried again until it can be."""
        self._waiting.append(_Job(operation))
        if self._timer is None:
            self._timer = self._clock.after(self._linger, self._hand_over)

    async def ask(self, operation: object) -> Any:  # noqa: ANN401 - whatever `apply` returns
        """Have it done and return its result. Raises StateUnavailable, and then it was not done."""
        return await self._answer(operation)

    async def read(self, question: Read) -> Any:  # noqa: ANN401 - whatever the function returns
        """Return what a function finds, outside of any transaction. Raises StateUnavailable."""
        return await self._answer(question, reads=True)

    async def flush(self) -> None:
        """Return when everything before is done. Raises StateUnavailable while that fails."""
        await self._answer(None)

    async def close(self) -> None:
        """Do what was asked so far, for the last time, and close the file."""
        self._hand_over()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _answer(self, work: object, *, reads: bool = False) -> Future:
        future = self._loop.create_future()
        self._waiting.append(_Job(work, future, reads))
        self._hand_over()
        return future

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._jobs.put(self._waiting)
            self._waiting = []

    def _work(self) -> None:
        try:
            connection = _open(self._path, self._prepare, durable=self._durable)
        except (sqlite3.Error, OSError, StateUnavailable) as error:
            self._look_at(error)
            self._refuse(error)
            return
        kept: list[_Job] = []
        closing = False
        while not closing:
            fresh, closing = self._next(RETRY if kept else None)
            kept = self._do(connection, kept + fresh)
        if kept:
            _log.error("%s: %d changes are lost: %s", self._path.name, len(kept), self.problem)
        connection.close()

    def _refuse(self, error: Exception) -> None:
        """Tell everybody that the file could not be opened, until the end."""
        self.problem = f"{self._path} cannot be used: {error}"
        closing = False
        while not closing:
            jobs, closing = self._next(None)
            self._tell((job, self._unavailable()) for job in jobs)

    def _next(self, patience: float | None) -> tuple[list[_Job], bool]:
        """Return the jobs that are there, waiting for the first, and whether they are the last."""
        jobs: list[_Job] = []
        with suppress(queue.Empty):
            more = self._jobs.get(timeout=patience)
            while more is not None:
                jobs += more
                if len(jobs) >= GROUP:
                    return jobs, False
                more = self._jobs.get_nowait()
            return jobs, True
        return jobs, False

    def _do(self, connection: Connection, jobs: list[_Job]) -> list[_Job]:
        """Do these jobs and return those that must be tried again."""
        changes = [job for job in jobs if job.work is not None and not job.reads]
        kept: list[_Job] = []
        answers: list[tuple[_Job, Any]] = []
        if changes:
            try:
                answers = self._transact(connection, changes)
                self._stands("")
            except sqlite3.Error as error:
                self._stands(f"{self._path} cannot be written: {error}")
                kept = [job for job in changes if job.future is None][-MAX_KEPT:]
                answers = [(job, self._unavailable()) for job in changes]
        for job in jobs:
            if job.reads:
                answers.append((job, self._read(connection, job.work)))
            elif job.work is None:
                answers.append((job, self._unavailable() if kept else None))
        self._tell(answers)
        return kept

    def _transact(self, connection: Connection, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = self._apply(connection, [job.work for job in jobs])
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, (sqlite3.OperationalError, OSError)):
                raise
            self._look_at(error)
            if len(jobs) > 1:
                return [pair for job in jobs for pair in self._transact(connection, [job])]
            _log.exception("%s: a change was dropped", self._path.name)
            return [(jobs[0], error)]
        return list(zip(jobs, results, strict=True))

    def _read(self, connection: Connection, question: Read) -> object:
        try:
            return question(connection)
        except sqlite3.Error as error:
            self._look_at(error)
            return StateUnavailable(PUBLIC, detail=f"{self._path} cannot be read: {error}")

    def _look_at(self, error: Exception) -> None:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & _PRIMARY
        self.damaged = self.damaged or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

    def _unavailable(self) -> StateUnavailable:
        return StateUnavailable(PUBLIC, detail=self.problem, retry_after=1.0)

    def _stands(self, problem: str) -> None:
        """Note how the file stands, and log it when that is news."""
        if problem and not self.problem:
            _log.error(problem)
        elif self.problem and not problem:
            _log.warning("%s can be written again", self._path)
        self.problem = problem

    def _tell(self, answers: Iterable[tuple[_Job, Any]]) -> None:
        told = [(job.future, result) for job, result in answers if job.future is not None]
        if told:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_resolve, told)


def _resolve(told: list[tuple[Future, Any]]) -> None:
    for future, result in told:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _open(path: Path, prepare: Prepare, *, durable: bool) -> Connection:
    """Open or create a file that only we may read. Raises StateUnavailable for a newer one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY / 1000, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        connection.close()
        raise StateUnavailable(
            PUBLIC, detail=f"a newer Turnout made it (version {version}): use that one"
        )
    prepare(connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    return connection
