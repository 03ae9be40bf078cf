"""Notices of targets' health that the nodes of a fleet share through Redis."""

from collections.abc import Sequence

from gateway.core import wire
from gateway.core.bulletin import LONGEST, Kind, Notice
from gateway.core.errors import StateUnavailable
from gateway.state.bulletin import Exchange
from gateway.state.redis.link import Link, Rejected, Unreachable, Word
from gateway.state.redis.scripts import BULLETIN
from gateway.state.writer import PUBLIC

_hanging = wire.decoder(list[tuple[str, float, str]])
_name = wire.decoder(tuple[Kind, str, str, str])


def in_redis(link: Link) -> Exchange:
    """Return the exchange through one script, by whose clock notices are over."""

    async def exchange(posts: Sequence[Notice]) -> Sequence[Notice]:
        words: list[Word] = []
        for post in posts:
            name = wire.encode((post.kind, post.provider, post.model, post.mark))
            words += [name, post.seconds, post.id]
        try:
            found = _hanging.decode(await link.ask(BULLETIN, *words))
        except (Unreachable, Rejected, ValueError) as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error
        return [_notice(*each) for each in found]

    return exchange


def _notice(name: str, seconds: float, number: str) -> Notice:
    kind, provider, model, mark = _name.decode(name)
    return Notice(kind, provider, model, min(seconds, LONGEST), mark, number)
