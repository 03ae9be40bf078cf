"""Processes that count together, each of which looks when a test says so."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

from gateway.core.tallies import Agreed
from gateway.state.tallies import SharedTallies
from tests.fakes.stores import Store, open_redis, open_store

SCORES = "auto/scores"
CUTS = "auto/cuts"
PLENTY = 1 << 40


class Teller:
    """One process, as far as it counts."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tallies = cast("SharedTallies", store.state.tallies)
        self.sums()
        self.agreed()

    def add(self, *cells: int, name: str = SCORES) -> None:
        for cell in cells:
            self.tallies.add(name, cell, 1)

    def sums(self, enough: int = PLENTY, name: str = SCORES) -> dict[int, int]:
        return dict(self.tallies.sums(name, enough))

    def agreed(self) -> Agreed:
        return self.tallies.agreed(CUTS)

    def propose(self, version: int, body: str) -> None:
        self.tallies.propose(CUTS, Agreed(version, body))

    def wait(self, seconds: float) -> None:
        """Let time pass without a look."""
        self.store.clock.now += seconds


async def look(*tellers: Teller) -> None:
    """Have each look, in this order."""
    for teller in tellers:
        await teller.tallies.look()


@asynccontextmanager
async def tellers(kind: str, folder: Path, url: str = "") -> AsyncIterator[list[Teller]]:
    """Open one store in two processes' way."""
    async with AsyncExitStack() as stack:
        found = []
        for home in ("one", "two"):
            if kind == "redis":
                (folder / home).mkdir(exist_ok=True)
                opening = open_redis(folder / home, url, prefix=f"{folder.name}:")
            else:
                opening = open_store(kind, folder)
            found.append(Teller(await stack.enter_async_context(opening)))
        yield found
