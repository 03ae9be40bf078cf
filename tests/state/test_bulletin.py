"""Notices in a file: what is believed of it, and what becomes of posts that cannot be written."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from gateway.core.bulletin import LONGEST, Notice
from gateway.core.errors import StateUnavailable
from gateway.state.bulletin import POLL, SharedBulletin
from tests.fakes.bulletins import DOWN, PAUSED, processes
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime
from tests.fakes.stores import until


class Board:
    """A store that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.hanging: list[Notice] = []

    async def exchange(self, posts: Sequence[Notice]) -> Sequence[Notice]:
        if self.away:
            raise StateUnavailable("away")
        self.hanging += posts
        return self.hanging


async def test_posts_wait_for_a_store_that_is_away_and_the_last_word_counts() -> None:
    clock, board = FakeClock(), Board()
    bulletin = SharedBulletin(board.exchange, clock, "me")
    heard: list[Sequence[Notice]] = []
    bulletin.follow(heard.append)
    keeping = make_runtime(clock).spawn("follow", bulletin.keep_current())
    board.away = True
    bulletin.post(DOWN)
    await clock.advance(1)
    bulletin.post(DOWN)
    bulletin.post(Notice("failing", "acme", "small", 1.0))
    await clock.advance(2)
    board.away = False
    heard.clear()
    await clock.advance(POLL)
    assert [(each.kind, each.seconds) for each in board.hanging] == [("down", 5.0 - 2.5)]
    assert heard[-1] == [], "nobody hears of himself"
    keeping.cancel()


async def test_what_cannot_be_true_is_not_believed(tmp_path: Path) -> None:
    """Such as what hung there before the machine started anew."""
    async with processes("sqlite", tmp_path, "") as (one, two):
        one.post(PAUSED)
        await until(lambda: len(two.known) == 1)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as file, file:
            file.execute("UPDATE notices SET until = until + ?", (2 * LONGEST,))
        await until(lambda: not two.known)
        one.post(DOWN)
        await until(lambda: len(two.known) == 1)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
            assert file.execute("SELECT count(*) FROM notices").fetchone() == (1,), "it is swept"
