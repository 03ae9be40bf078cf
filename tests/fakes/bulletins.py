"""Processes that share a store, as far as they tell each other of targets' health."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from math import ceil
from pathlib import Path

from msgspec.structs import replace

from gateway.core.bulletin import Bulletin, Notice
from gateway.core.secret import Secret
from gateway.state.redis.store import RedisConfig
from gateway.state.sqlite import SqliteConfig
from tests.fakes.runtime import real_time_runtime
from tests.fakes.stores import until

DOWN = Notice("down", "acme", "small", 5.0)
PAUSED = Notice("paused", "acme", "large", 30.0, "5ecae7")


class Process:
    """One of several with one store."""

    def __init__(self, bulletin: Bulletin) -> None:
        self.post = bulletin.post
        self.heard: list[Sequence[Notice]] = []
        bulletin.follow(self.heard.append)

    @property
    def known(self) -> list[Notice]:
        """What hung there at the last look, without ids, in full seconds."""
        last = self.heard[-1] if self.heard else ()
        plain = [replace(each, id="", seconds=float(ceil(each.seconds))) for each in last]
        return sorted(plain, key=lambda each: each.kind)

    async def looks(self, times: int = 2) -> None:
        """Wait for so many looks."""
        before = len(self.heard)
        await until(lambda: len(self.heard) >= before + times)


@asynccontextmanager
async def processes(kind: str, folder: Path, url: str) -> AsyncIterator[list[Process]]:
    """Open one store in two processes' way."""
    names = count(1)
    async with AsyncExitStack() as stack:
        found = []
        for home in ("one", "two"):
            runtime = replace(real_time_runtime(), new_id=lambda: f"process-{next(names)}")
            config: SqliteConfig | RedisConfig = SqliteConfig()
            if kind == "redis":
                config = RedisConfig(url=Secret(url, "test"), prefix="notices:", timeout=1)
            place = folder / home if kind == "redis" else folder
            state = await stack.enter_async_context(config.open(runtime, place))
            found.append(Process(state.bulletin))
        yield found
