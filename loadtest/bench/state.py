"""`python -m loadtest.bench.state`: CPU of a reserve and settle with 3 limits, in each store.

Redis is measured where its server is given: `--redis redis://127.0.0.1:6379/0`. Its keys begin with
`turnout-bench:`. CPU is this process's own, all threads; what Redis itself spends is not in it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Struct

from gateway.core.secret import Secret
from gateway.core.state import Admitted, Budget, Limit, Limiter, Rate, Reserve
from gateway.runtime import open_runtime
from gateway.state import AnyState
from gateway.state.memory import MemoryConfig
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig

BARS: Final = {"memory": 12.0, "sqlite": 60.0}
"""Microseconds of CPU a pair, amortised over requests that come together."""
AT_ONCE: Final = (1, 8, 64)
RESERVED: Final = (1, 500, 1_000)
USED: Final = (1, 300, 700)


class Figures(Struct, frozen=True):
    """Microseconds of CPU a pair, milliseconds that a reservation took, pairs a second."""

    cpu: float
    p50: float
    p99: float
    rate: float


def limits(now: float) -> tuple[Limit, ...]:
    """Return requests and tokens a minute, and a month's money: more than this will use."""
    return (
        Rate("acme/requests", 10**8, 10**8 / 60),
        Rate("acme/tokens", 10**11, 10**11 / 60),
        Budget("acme/usd/2026-11", 1 << 50, now + 10**6),
    )


async def pairs(limiter: Limiter, at_once: int, number: int) -> Figures:
    """Reserve and settle `number` times, `at_once` of them at any moment."""
    waits: list[float] = []
    asked = limits(limiter.now())

    async def work(worker: int) -> None:
        for turn in range(number // at_once):
            began = time.perf_counter()
            name = f"{at_once}-{worker}-{turn}"
            request = Reserve(name, "acme", 60.0, asked, [*RESERVED])
            decision = await limiter.reserve(request)
            waits.append(time.perf_counter() - began)
            if not isinstance(decision, Admitted):
                raise TypeError("a limit was reached")
            limiter.settle(decision.lease, USED)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*map(work, range(at_once)))
    await limiter.flush()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    waits.sort()
    return Figures(
        cpu / number * 1e6,
        waits[len(waits) // 2] * 1e3,
        waits[len(waits) * 99 // 100] * 1e3,
        number / wall,
    )


async def measure(config: AnyState, number: int) -> Mapping[int, Figures]:
    """Return the figures of a fresh store, by how many requests come at once."""
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as folder:
        async with (
            open_runtime(print) as runtime,
            config.open(runtime, Path(folder)) as state,
        ):
            return {n: await pairs(state.limiter, n, number) for n in AT_ONCE}


def main() -> int:
    """Measure and print. Returns 1 when a bar is missed."""
    options = argparse.ArgumentParser(prog="python -m loadtest.bench.state", description=__doc__)
    options.add_argument("--redis", metavar="URL", help="measure this Redis or Valkey too")
    options.add_argument("--number", type=int, default=20_000, help="pairs for each figure")
    chosen = options.parse_args()
    stores: dict[str, AnyState] = {"memory": MemoryConfig(), "sqlite": SqliteConfig()}
    if chosen.redis:
        url = Secret(chosen.redis, "--redis")
        stores["redis"] = RedisConfig(url=url, prefix="turnout-bench:", timeout=2.0)
    print("store   at once  CPU us/pair   p50 ms   p99 ms   pairs/s")
    missed = []
    for name, config in stores.items():
        figures = uvloop.run(measure(config, chosen.number))
        for at_once, each in figures.items():
            print(
                f"{name:7} {at_once:7} {each.cpu:12.1f} {each.p50:8.2f} {each.p99:8.2f}"
                f" {each.rate:9.0f}"
            )
        if figures[AT_ONCE[-1]].cpu > BARS.get(name, float("inf")):
            missed.append(name)
    verdict = f"missed by {', '.join(missed)}" if missed else "met"
    bars = ", ".join(f"{name} {bar:g} us" for name, bar in BARS.items())
    print(f"bench state: {chosen.number} pairs for each figure, bars ({bars}) {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
