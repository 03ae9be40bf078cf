"""`python -m tests.fakes.tallying_process KIND FOLDER URL`: counts until it is killed.

It says after each look how many of its counts the store has confirmed.
"""

import asyncio
import sys
from pathlib import Path

from tests.fakes.stores import open_redis, open_store
from tests.fakes.tallying import Teller, look

FOREVER = 100_000


async def count(kind: str, folder: Path, url: str) -> None:
    shared = open_redis(folder, url, prefix="tallied:") if kind == "redis" else None
    async with shared or open_store(kind, folder) as store:
        teller = Teller(store)
        for number in range(1, FOREVER):
            teller.add(number % 7)
            await look(teller)
            if not (teller.tallies._batch.added or teller.tallies._adding):
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(count(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
