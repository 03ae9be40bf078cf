"""Records of audited groups that the nodes of a fleet share through Redis."""

from gateway.core import wire
from gateway.core.audits import MOST, Record
from gateway.core.errors import StateUnavailable
from gateway.state.audits_shared import Changes
from gateway.state.redis.link import Link, Rejected, Unreachable, Word
from gateway.state.redis.scripts import AUDITS, AUDITS_SWAP, Script
from gateway.state.writer import PUBLIC

_one = wire.decoder(tuple[int, str])
_all = wire.decoder(tuple[int, list[tuple[str, int, str]]])


class RedisAudits:
    """Records in a hash, their order in a sorted set."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def swap(self, record: Record, /) -> Record | None:
        """Keep a record in place of the revision before it, or return what is there."""
        answer = await self._ask(
            AUDITS_SWAP, record.name, record.revision, record.content.decode(), MOST
        )
        if answer == "ok":
            return None
        revision, content = _one.decode(answer)
        return Record(record.name, revision, content.encode())

    async def since(self, change: int, /) -> Changes:
        """Return what changed after a change; all, where that one is not known there."""
        last, rows = _all.decode(await self._ask(AUDITS, change))
        return last, [Record(name, number, content.encode()) for name, number, content in rows]

    async def _ask(self, script: Script, *words: Word) -> str:
        try:
            return await self._link.ask(script, *words)
        except (Unreachable, Rejected) as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error
