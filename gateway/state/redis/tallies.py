"""Counts that the nodes of a fleet share through Redis."""

from typing import Final

from gateway.core import wire
from gateway.core.errors import StateUnavailable
from gateway.core.tallies import OVER, Agreed
from gateway.state.redis.link import Link, Rejected, Unreachable, Word
from gateway.state.redis.scripts import TALLIES
from gateway.state.tallies import Batch, Exchange, Found, Wanted
from gateway.state.writer import PUBLIC

_found: Final = wire.decoder(tuple[list[list[tuple[int, int]]], list[tuple[int, str]]])


def in_redis(link: Link, me: str) -> Exchange:
    """Return the exchange through one script. `me` is this process's name, like no other's."""

    async def exchange(batch: Batch, wanted: Wanted) -> Found:
        try:
            sums, agreed = _found.decode(await link.ask(TALLIES, *_words(batch, wanted, me)))
        except (Unreachable, Rejected, ValueError) as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error
        # What each list begins with is there only so that none is empty.
        cells = [dict(told[1:]) for told in sums[1:]]
        settings = [Agreed(*told) for told in agreed[1:]]
        return Found(
            dict(zip(wanted.sums, cells, strict=True)),
            dict(zip(wanted.agreed, settings, strict=True)),
        )

    return exchange


def _words(batch: Batch, wanted: Wanted, me: str) -> list[Word]:
    added: list[Word] = [
        word
        for each in batch.added
        for cell, amount in each.cells.items()
        for word in (each.name, each.part, cell, amount)
    ]
    proposed: list[Word] = [
        word for name, each in batch.proposed.items() for word in (name, each.version, each.body)
    ]
    sums: list[Word] = [word for pair in wanted.sums.items() for word in pair]
    counts = (len(added) // 4, len(proposed) // 3, len(wanted.sums), len(wanted.agreed))
    head = (me, batch.number, wanted.part, wanted.oldest, OVER, *counts)
    return [*head, *added, *proposed, *sums, *wanted.agreed]
