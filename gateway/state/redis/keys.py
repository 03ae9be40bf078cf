"""Issued keys in Redis, mirrored in `ledger.db` so that a node knows them without it."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from gateway.core import wire
from gateway.core.errors import StateUnavailable
from gateway.core.state import IssuedKey
from gateway.state.keys_file import KeysFile
from gateway.state.redis.link import Link, Rejected, Unreachable, Word
from gateway.state.redis.scripts import KEYS, KEYS_ALL, Script
from gateway.state.redis.words import EPOCH, Words
from gateway.state.writer import PUBLIC

CHUNK = 100
"""Keys in one call."""
_table = wire.decoder(tuple[IssuedKey, ...])


class RedisKeys:
    """The Keys of a fleet. Followers are told by `look`."""

    def __init__(self, link: Link, mirror: KeysFile) -> None:
        self._link = link
        self._mirror = mirror
        self._followers: list[Callable[[Sequence[IssuedKey]], None]] = []
        self._keys: Sequence[IssuedKey] = ()
        self._version = ""

    async def start(self) -> None:
        """Begin with the keys that this node knew last."""
        self._keys = await self._mirror.all()

    async def create(self, key: IssuedKey, /) -> None:
        if await self._ask(KEYS, *_words(key)) != "1":
            raise ValueError(f"the key {key.id} is there already")
        await self._read()

    async def revoke(self, name: str, at: float, /) -> bool:
        await self._read()
        key = next((key for key in self._keys if key.id == name), None)
        if key is None:
            return False
        if key.revoked is None:
            await self._ask(KEYS, *_words(replace(key, revoked=at)))
            await self._read()
        return True

    async def all(self) -> Sequence[IssuedKey]:
        return self._keys

    def follow(self, callback: Callable[[Sequence[IssuedKey]], None], /) -> None:
        self._followers.append(callback)
        callback(self._keys)

    async def look(self, version: str) -> None:
        """Read the table again when its version is another one."""
        if version != self._version:
            await self._read()

    async def restore(self) -> None:
        """Put the keys that this node knows into a store that lost them."""
        for start in range(0, len(self._keys), CHUNK):
            chunk = self._keys[start : start + CHUNK]
            await self._ask(KEYS, *(word for key in chunk for word in _words(key)))
        self._version = ""

    async def _read(self) -> None:
        version, _, body = (await self._ask(KEYS_ALL)).partition(" ")
        keys = sorted(_table.decode(body), key=lambda key: (key.created, key.id))
        changed = keys != list(self._keys)
        self._version, self._keys = version, tuple(keys)
        if changed:
            for callback in self._followers:
                callback(self._keys)
            with suppress(StateUnavailable):  # only a start without Redis would miss it
                await self._mirror.replace(self._keys)

    async def _ask(self, script: Script, *words: Word) -> str:
        try:
            answer = await self._link.ask(script, *words)
        except (Unreachable, Rejected) as error:
            raise StateUnavailable(PUBLIC, detail=f"redis: {error}") from error
        if answer == EPOCH:
            raise StateUnavailable(PUBLIC, detail="redis: it lost its data a moment ago")
        return answer


def _words(key: IssuedKey) -> Words:
    return (key.id, key.digest, int(key.revoked is not None), wire.encode(key))
