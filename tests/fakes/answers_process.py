"""`python -m tests.fakes.answers_process FOLDER NUMBER` stores answers until it is killed.

Their numbers begin with NUMBER. It prints that of an answer once a flush has said that it is kept.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

import uvloop

from gateway.core.answers import Answer, Selection
from gateway.state.sqlite import SqliteConfig
from tests.fakes.kept import answer
from tests.fakes.runtime import real_time_runtime


def numbered(number: int) -> Answer:
    """Return the answer that this process stores under a number; a key comes again and again."""
    key = f"{number % 500:064x}"
    return answer(number, key=key, body=b"%08d" % number * 400, stored=9e9, gone_at=9.1e9)


async def store(folder: Path, start: int) -> None:
    async with SqliteConfig(answers=2 << 20).open(real_time_runtime(), folder) as state:
        for number in count(start, 10):
            for each in range(number, number + 10):
                state.answers.put(numbered(each))
            if number % 70 == 0:
                await state.answers.remove(Selection(id=f"id-{number}"))
            await state.answers.flush()
            sys.stdout.write(f"{number + 9}\n")
            sys.stdout.flush()
            await asyncio.sleep(0)


if __name__ == "__main__":
    uvloop.run(store(Path(sys.argv[1]), int(sys.argv[2])))
