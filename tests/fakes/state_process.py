"""Processes that share a store: `python -m tests.fakes.state_process WORK KIND FOLDER URL NUMBER`.

`race` waits for a line, then reserves NUMBER times at once and prints how many were admitted.
`die` lets NUMBER children reserve and settle, one after another, and kills each of them at some
moment; what they did is in FOLDER/journal, one line before and one after each step.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from random import Random
from uuid import uuid4

import uvloop
from msgspec.structs import replace

from gateway.core.secret import Secret
from gateway.core.state import Admitted, Budget, Limiter, Reserve, Slots, State
from gateway.state import AnyState
from gateway.state.redis import link as _loaded_before_forking  # noqa: F401
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig
from tests.fakes.runtime import real_time_runtime

KEY = "acme/usd/2026-11"
RESERVED = 100


def limits(limit: int) -> tuple[Budget, Slots]:
    return (Budget(KEY, limit, time.time() + 3600), Slots("acme/slots", 1_000_000))


def used_of(name: str) -> int:
    """Return what a lease of this name turns out to use."""
    return sum(name.encode()) % RESERVED


def config_of(kind: str, url: str) -> AnyState:
    if kind == "redis":
        return RedisConfig(url=Secret(url, "test"), prefix="shared:", timeout=2.0)
    return SqliteConfig()


def tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def race(config: AnyState, folder: Path, number: int) -> None:
    runtime = replace(real_time_runtime(), new_id=lambda: uuid4().hex)
    turns, admitted = asyncio.Semaphore(4), 0

    async def ask(limiter: Limiter) -> None:
        # Few at a time, so that the transactions of all processes are many and meet.
        nonlocal admitted
        async with turns:
            request = Reserve(uuid4().hex, "acme", 60.0, limits(1000), [RESERVED, 1])
            decision = await limiter.reserve(request)
        admitted += isinstance(decision, Admitted)

    async with config.open(runtime, folder) as state:
        while state.problem():
            await asyncio.sleep(0.01)
        tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(ask(state.limiter) for _ in range(number)))
        await state.limiter.flush()
    tell(admitted)


async def spend(config: AnyState, folder: Path) -> None:
    """Reserve and settle until killed."""
    journal = os.open(folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(step: str, name: str) -> None:
        os.write(journal, f"{step} {name}\n".encode())

    async def work(state: State) -> None:
        while True:
            name = uuid4().hex
            note("try", name)
            asked = Reserve(name, "acme", 1.0, limits(1 << 40), [RESERVED, 1])
            decision = await state.limiter.reserve(asked)
            if not isinstance(decision, Admitted) or state.problem():
                continue
            note("got", name)
            if Random(name).random() < 0.5:
                await asyncio.sleep(0)
            note("end", name)
            state.limiter.settle(decision.lease, [used_of(name), 1])
            await state.limiter.flush()
            note("done", name)

    runtime = replace(real_time_runtime(), new_id=lambda: uuid4().hex)
    async with config.open(runtime, folder) as state:
        while state.problem():  # Redis is new, so it waits for other nodes
            await asyncio.sleep(0.01)
        note("open", "-")
        await asyncio.gather(*(work(state) for _ in range(4)))


def die(config: AnyState, folder: Path, number: int) -> None:
    chance, journal = Random(3), folder / "journal"
    journal.touch()
    for _ in range(number):
        before = journal.stat().st_size
        child = os.fork()
        if not child:
            uvloop.run(spend(config, folder))
        while journal.stat().st_size == before:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def main() -> None:
    work, kind, folder, url, number = sys.argv[1:]
    config, home = config_of(kind, url), Path(folder)
    if work == "race":
        uvloop.run(race(config, home, int(number)))
    else:
        die(config, home, int(number))


if __name__ == "__main__":
    main()
