"""`turnout serve --workers N`: a supervisor that serves nothing itself and replaces what dies."""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from gateway.commands.asking import PassedOn, ask
from gateway.commands.banner import announce
from gateway.commands.signals import Stop
from gateway.commands.together import reloaded, troubles
from gateway.core import wire
from gateway.core.ports import Clock
from gateway.edge.admin import open_admin
from gateway.edge.admin_routes import admin_routes
from gateway.edge.listening import CannotStart, listening
from gateway.policy.setup import Setup
from gateway.runtime import SystemClock
from gateway.settings import Address, parse_address
from gateway.telemetry.exposition import merge, without_gauges
from gateway.telemetry.log import Log

OK: Final = 200
POLL: Final = 0.25
"""Seconds between two looks at a worker's readiness."""
COUNT_EVERY: Final = 8
"""So many looks apart its counters are fetched: what a killed worker counted since is lost."""
LONG_LIFE: Final = 10.0
"""A worker that lived this long is replaced at once; after a shorter life the pause doubles."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
GRACE: Final = 1.0
"""Seconds beyond the drain, and after a second signal, before a worker is killed."""
MAX_SOCKET_PATH: Final = 100
"""Bytes; the system's own limit is 104 to 108."""


class Worker:
    """One worker process and its successors."""

    def __init__(self, command: list[str], socket_path: str, number: int) -> None:
        self.number = number
        self.restarts = 0
        self.process: Process | None = None
        self.report: Mapping[str, Any] = {}
        self.ready = False
        self.socket_path = socket_path
        self._counted = b""
        self._inherited = b""
        self._command = [*command, "--worker", socket_path]

    async def live(self, stop: Stop, clock: Clock, log: Log) -> None:
        """Keep one process running until asked to stop; then wait for its end."""
        crashes = 0
        while not stop.asked.is_set():
            born = clock.monotonic()
            # A session of its own: Ctrl-C reaches the supervisor alone, which passes it on once.
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, start_new_session=True
            )
            if stop.asked.is_set():
                self.send(signal.SIGTERM)
            code = await self.process.wait()
            self.ready, self.report = False, {}
            self._inherited = merge([self._inherited, without_gauges(self._counted)])
            self._counted = b""
            if stop.asked.is_set():
                return
            crashes = 0 if clock.monotonic() - born >= LONG_LIFE else crashes + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(0, crashes - 1))
            log.error("a worker died", worker=self.number, code=code, restart_in=pause)
            self.restarts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.asked.wait(), pause)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def metrics(self) -> bytes:
        """Return what this process and those before it have counted; no counter ever falls."""
        asked = self.process
        status, body = await ask(self.socket_path, "/metrics")
        if status == OK and asked is self.process and asked and asked.returncode is None:
            self._counted = body
        return merge([self._inherited, self._counted])

    async def watch(self) -> None:
        """Keep `ready` and `report` current, and what was counted at hand should it die."""
        clock = SystemClock()
        for look in count():
            if look % COUNT_EVERY == 0:
                await self.metrics()
            status, body = await ask(self.socket_path, "/readyz")
            self.ready = status == OK
            with suppress(ValueError):
                self.report = wire.decode(body)
            await clock.sleep(POLL)


class Fleet:
    """All workers, as one process to the operator."""

    def __init__(self, listen: Address, workers: Sequence[Worker]) -> None:
        self.listen = listen
        self.workers = workers
        self.draining = False

    @property
    def desk(self) -> PassedOn:
        """Who issues keys: any of the workers, for all see the same store."""
        return PassedOn(lambda: [each.socket_path for each in self.workers if each.report])

    @property
    def cache_desk(self) -> PassedOn:
        """Who forgets answers: any of the workers, for the others follow the store."""
        return self.desk

    @property
    def readiness(self) -> "Fleet":
        """Who knows whether all are ready."""
        return self

    def ready(self) -> bool:
        """Tell whether every worker is ready."""
        return not self.draining and all(worker.ready for worker in self.workers)

    def report(self) -> Mapping[str, Any]:
        """Return what /readyz shows: what all have to say as one, and every worker's own report."""
        reports = [worker.report for worker in self.workers if worker.report]
        return {
            "ready": self.ready(),
            "draining": self.draining,
            "problems": troubles(reports),
            "policies": reloaded([report["policies"] for report in reports]),
            "workers": [
                {
                    "worker": worker.number,
                    "pid": worker.process.pid if worker.process else None,
                    "restarts": worker.restarts,
                    **worker.report,
                }
                for worker in self.workers
            ],
        }

    async def metrics(self) -> bytes:
        """Return the sum of all workers' metrics, and how often one was replaced."""
        texts = await asyncio.gather(*(worker.metrics() for worker in self.workers))
        restarts = sum(worker.restarts for worker in self.workers)
        own = (
            b"# HELP turnout_worker_restarts_total Workers that died and were replaced.\n"
            b"# TYPE turnout_worker_restarts_total counter\n"
            b"turnout_worker_restarts_total %d\n" % restarts
        )
        return merge([own, *texts])

    async def providers(self) -> Mapping[str, Any]:
        """Return what each worker knows of every target's health."""
        return {"workers": await self._ask_all("/admin/providers", "GET")}

    async def cache(self) -> Mapping[str, Any]:
        """Return what each worker has of stored answers."""
        return {"workers": await self._ask_all("/admin/cache", "GET")}

    async def reload(self) -> Mapping[str, Any]:
        """Let every worker read the policies again; one that is starting reads them anyway."""
        reports = await self._ask_all("/admin/reload", "POST")
        return {**reloaded(reports), "workers": reports}

    async def _ask_all(self, path: str, method: str) -> list[Mapping[str, Any]]:
        """Return what every worker that answers says."""
        answers = await asyncio.gather(
            *(ask(worker.socket_path, path, method) for worker in self.workers)
        )
        return [
            {"worker": worker.number, **wire.decode(body)}
            for worker, (status, body) in zip(self.workers, answers, strict=True)
            if status
        ]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every worker."""
        for worker in self.workers:
            worker.send(number)

    def reload_soon(self) -> None:
        """Pass SIGHUP on to the workers that are there to take it."""
        for worker in self.workers:
            if worker.report:
                worker.send(signal.SIGHUP)


@contextmanager
def prepare(setup: Setup, given: argparse.Namespace) -> Iterator[Fleet]:
    """Lock the data, hold the port and yield a fleet to start. Raises CannotStart."""
    if not setup.state.shared:
        raise CannotStart(
            "workers must share what they count, and `state: kind: memory` is each one's own. "
            "Choose `kind: sqlite` in gateway.yaml, or --workers 1."
        )
    wanted = parse_address(setup.settings.listen)
    with lock(given.data), listening(wanted), reserve(wanted) as listen:
        command = _command(given, listen)
        paths = [socket_path(given.data, number) for number in range(given.workers)]
        yield Fleet(listen, [Worker(command, path, n) for n, path in enumerate(paths)])


async def supervise(setup: Setup, fleet: Fleet, log: Log) -> int:
    """Run workers until stopped; return the exit code."""
    stop = Stop()
    stop.listen()
    stop.on_hangup(fleet.reload_soon)
    admin = parse_address(setup.settings.admin)
    async with AsyncExitStack() as stack:
        with listening(admin):
            operator = await stack.enter_async_context(
                open_admin(
                    admin.host, admin.port, admin_routes(fleet), token=setup.settings.admin_token
                )
            )
        announce(setup, fleet.listen.port, operator.port, log)
        await _run(fleet, stop, SystemClock(), log, setup.settings.limits.drain)
    log.info("stopped")
    return 0


async def _run(fleet: Fleet, stop: Stop, clock: Clock, log: Log, drain: float) -> None:
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(worker.live(stop, clock, log)) for worker in fleet.workers]
        looks = [group.create_task(worker.watch()) for worker in fleet.workers]
        await stop.asked.wait()
        fleet.draining = True
        log.info("draining", seconds=drain)
        fleet.send(signal.SIGTERM)
        insisted = group.create_task(stop.insisted.wait())
        ended = group.create_task(asyncio.wait(lives))
        await asyncio.wait(
            {ended, insisted}, timeout=drain + GRACE, return_when=asyncio.FIRST_COMPLETED
        )
        if not ended.done():
            fleet.send(signal.SIGTERM)
            await asyncio.wait(lives, timeout=GRACE)
            fleet.send(signal.SIGKILL)
        for task in (*looks, insisted):
            task.cancel()


@contextmanager
def reserve(address: Address) -> Iterator[Address]:
    """Hold a port for our workers alone, and yield it. Raises OSError when it is taken.

    Workers share the port by SO_REUSEPORT, which would let a second gateway slip in unnoticed:
    so first we see whether we could have it for ourselves. Connections of whoever served there
    before, and which have not ended, are in nobody's way: for that SO_REUSEADDR is needed too, but
    for no longer than it takes to bind, or it would let others in.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.create_server((address.host, address.port), family=family) as probe:
        port = probe.getsockname()[1]
    with socket.socket(family) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((address.host, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        yield Address(address.host, port)


@contextmanager
def lock(data: Path) -> Iterator[None]:
    """Create the data directory, for us alone, and keep other supervisors out of it."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (data / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise CannotStart(f"{data} cannot be written: {error.strerror}. Choose --data.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(f"{data} is in use by another gateway. Choose --data.") from error
        yield


def socket_path(data: Path, number: int) -> str:
    """Return where a worker's admin listener is."""
    path = str(data.absolute() / f"worker-{number}.sock")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise CannotStart(f"{data} has too long a path for a unix socket. Choose --data.")
    return path


def _command(given: argparse.Namespace, listen: Address) -> list[str]:
    return [
        *(sys.executable, "-m", "gateway", "serve"),
        *("--config", str(given.config), "--policies", str(given.policies)),
        *("--data", str(given.data), "--listen", str(listen)),
        *(("--admin", given.admin) if given.admin else ()),
    ]
