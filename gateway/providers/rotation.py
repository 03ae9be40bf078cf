"""Providers' keys that stand in files: when a file changes, its new key is what is sent."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.ports import Clock, Provider
from gateway.core.secret import Secret
from gateway.documents.document import read_secret
from gateway.providers import AnyProvider
from gateway.providers.anthropic import AnthropicConfig
from gateway.providers.openai import OpenAIConfig
from gateway.providers.transport.client import Transport

POLL: Final = 0.25
"""Seconds between two looks; a key is taken when two in a row find the same."""
_FILE: Final = "file:"


class _Watched(Struct):
    """A provider whose key stands in a file: the key in use, and what the last look found."""

    name: str
    config: OpenAIConfig | AnthropicConfig
    transport: Transport
    used: str
    seen: str


class Rotation:
    """Keeps providers' keys as their files are."""

    def __init__(
        self,
        configs: Mapping[str, AnyProvider],
        providers: Mapping[str, Provider],
        rotated: Callable[[str, Secret], None],
    ) -> None:
        """`rotated` is called with a provider's name and its new key, before that is sent."""
        self._rotated = rotated
        self._watched = []
        for name, provider in providers.items():
            config, transport = configs[name], getattr(provider, "transport", None)
            if not isinstance(config, OpenAIConfig | AnthropicConfig):
                continue
            key = config.api_key
            if key is not None and key.source.startswith(_FILE) and transport is not None:
                used = key.reveal()
                self._watched.append(_Watched(name, config, transport, used, used))

    async def keep(self, clock: Clock) -> None:
        """Look again and again until cancelled; without such files return at once."""
        while self._watched:
            await clock.sleep(POLL)
            await self.look()

    async def look(self) -> None:
        """Read every file, and take its key when it was the same a look ago.

        A file that is gone, empty or half a line of garbage changes nothing.
        """
        for each in self._watched:
            found = await asyncio.to_thread(_read, each.config.api_key)
            rested, each.seen = found == each.seen, found
            if found and rested and found != each.used:
                self._take(each, found)

    def _take(self, each: _Watched, found: str) -> None:
        each.used = found
        source = each.config.api_key.source if each.config.api_key else ""
        key = Secret(found, source)
        self._rotated(each.name, key)
        each.transport.send_from_now_on(replace(each.config, api_key=key).sent_headers())


def _read(key: Secret | None) -> str:
    """Return what a key's file holds now, nothing when that cannot be a key."""
    if key is None or not Path(key.source.removeprefix(_FILE)).is_file():
        return ""
    try:
        found = read_secret(key.source, {})
    except ValueError:
        return ""
    return found.reveal() if found.present else ""
