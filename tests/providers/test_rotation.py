"""H05: a provider's key is rotated in its file, and the next call carries the new one."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.core.secret import Secret
from gateway.providers.anthropic import AnthropicConfig
from gateway.providers.openai import OpenAIConfig
from gateway.providers.rotation import Rotation
from gateway.providers.simulated.provider import SimulatedConfig
from tests.fakes.answers import whole
from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.runtime import make_runtime
from tests.fakes.upstream import Answer, Received, json_reply, open_upstream

WHOLE = whole("openai")
DENIED = json_reply({"error": {"message": "no such key"}}, 401)
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}]}
OLD, NEW = "sk-old-0123456789", "sk-new-0123456789"


async def status_of(gateway: OpenGateway) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.url}/chat/completions", json=HELLO) as response,
    ):
        return response.status


class Files:
    """A rotation over one provider whose key stands in a file, without waiting."""

    def __init__(self, folder: Path, config: Any = OpenAIConfig) -> None:
        self.file = folder / "key"
        self.file.write_text(f"{OLD}\n")
        self.told: list[tuple[str, str]] = []
        configs = {
            "acme": config(api_key=Secret(OLD, f"file:{self.file}")),
            "plain": OpenAIConfig(api_key=Secret("sk-from-the-environment", "env:KEY")),
            "none": OpenAIConfig(),
            "demo": SimulatedConfig(),
        }
        runtime = make_runtime()
        self.providers = {name: each.build(name, runtime) for name, each in configs.items()}
        self.rotation = Rotation(
            configs, self.providers, lambda name, key: self.told.append((name, key.reveal()))
        )

    async def looks(self, count: int = 2) -> None:
        for _ in range(count):
            await self.rotation.look()

    def sent(self) -> bytes:
        transport: Any = self.providers["acme"].transport
        return bytes(transport._constant)

    def masked(self, text: str) -> bytes:
        transport: Any = self.providers["acme"].transport
        return bytes(transport.mask(text.encode()))


@pytest.mark.parametrize(
    ("config", "line"),
    [(OpenAIConfig, f"authorization: Bearer {NEW}"), (AnthropicConfig, f"x-api-key: {NEW}")],
)
async def test_h05_a_key_that_rested_in_its_file_is_what_is_sent(
    tmp_path: Path, config: Any, line: str
) -> None:
    files = Files(tmp_path, config)
    files.file.write_text(NEW)
    await files.looks(1)
    assert OLD.encode() in files.sent()
    await files.looks(1)
    assert line.encode() in files.sent()
    assert OLD.encode() not in files.sent()
    assert files.told == [("acme", NEW)]
    await files.looks(3)
    assert files.told == [("acme", NEW)]


async def test_h05_old_and_new_are_both_masked_in_what_a_provider_says(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.file.write_text(NEW)
    await files.looks()
    assert files.masked(f"{OLD} and {NEW}") == b"*** and ***"


@pytest.mark.parametrize("content", [b"", b"  \n", b"two\nlines", b"\xff\xfe", None])
async def test_a_file_that_holds_no_key_changes_nothing(
    tmp_path: Path, content: bytes | None
) -> None:
    files = Files(tmp_path)
    if content is None:
        files.file.unlink()
    else:
        files.file.write_bytes(content)
    await files.looks(3)
    assert OLD.encode() in files.sent()
    assert files.told == []
    files.file.write_text(NEW)
    await files.looks(2)
    assert files.told == [("acme", NEW)]


async def test_without_keys_in_files_nothing_is_looked_at() -> None:
    runtime = make_runtime()
    rotation = Rotation({}, {}, lambda _name, _key: None)
    await asyncio.wait_for(rotation.keep(runtime.clock), 5)


async def test_h05_under_load_no_call_is_refused_for_its_key(tmp_path: Path) -> None:
    """The provider takes both keys while the file changes, then the new one only."""
    file = tmp_path / "key"
    file.write_text(OLD)
    good = {OLD, NEW}
    refused = [0]

    def answer(request: Received) -> Answer:
        ok = request.headers["authorization"].removeprefix("Bearer ") in good
        refused[0] += not ok
        return WHOLE if ok else DENIED

    async with open_upstream(answer) as upstream:
        providers = {
            "acme": {"kind": "openai", "base_url": upstream.url, "api_key": f"file:{file}"}
        }
        models = {"m": {"provider": "acme", "price": {"input": 0, "output": 0}}}
        async with open_test_gateway(providers=providers, models=models) as gateway:
            statuses = [await status_of(gateway) for _ in range(5)]
            new = file.with_suffix(".new")
            new.write_text(NEW)
            new.replace(file)
            for _ in range(200):
                statuses.append(await status_of(gateway))
                if any(e["event"] == "a provider's key was rotated" for e in gateway.events()):
                    break
                await asyncio.sleep(0.02)
            good.discard(OLD)
            statuses += [await status_of(gateway) for _ in range(20)]
            log = gateway.log.read_text()
    sys.stdout.write(f"{len(statuses)} calls, {refused[0]} refused\n")
    assert set(statuses) == {200}
    assert refused == [0]
    assert OLD not in log
    assert NEW not in log
