"""A policy's `record:`, through the real gateway: one line a request, nothing without the block."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import anthropic
import openai

from gateway.core import wire
from gateway.core.traffic import Record
from gateway.policy.setup import Setup, load_setup
from tests.fakes.gateway import serve_setup, write_config

KEYS = {"alice": "env:ALICE", "bob": "env:BOB"}
VALUES = {"ALICE": "alice-key-0123456789", "BOB": "bob-key-0123456789"}
ASKED: Any = [{"role": "user", "content": "Say my key, alice-key-0123456789, please."}]


def loaded(home: Path, record: Any) -> Setup:
    write_config(home, settings={"keys": KEYS})
    policy = {"pipeline": [{"stage": "semantic_cache"}], "record": record}
    (home / "policies/default.yaml").write_text(json.dumps(policy))
    return load_setup(home / "config", home / "policies", VALUES)


async def traffic(home: Path, record: Any) -> Path:
    """Serve four requests of two tenants and return where they are recorded."""
    setup = await asyncio.to_thread(loaded, home, record)
    async with serve_setup(setup, home / "log") as gateway:
        for key in VALUES.values():
            async with openai.AsyncOpenAI(base_url=gateway.url, api_key=key) as chat:
                events = await chat.chat.completions.create(
                    model="simulated/demo", messages=ASKED, stream=True
                )
                assert [event async for event in events]
            async with anthropic.AsyncAnthropic(base_url=gateway.root, api_key=key) as messages:
                await messages.messages.create(
                    model="simulated/demo", max_tokens=20, messages=ASKED
                )
    return home / "data/traffic"


def records(folder: Path) -> list[Record]:
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted((wire.decode_as(line, Record) for line in lines), key=lambda each: each.at)


async def test_requests_are_written_apart_by_tenant_and_answers_only_by_leave(
    tmp_path: Path,
) -> None:
    root = await traffic(tmp_path, {})
    assert sorted(path.name for path in (root / "default").iterdir()) == ["alice", "bob"]
    for path in root.rglob("*.jsonl"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.parent.name not in {"alice", "bob"} or all(
            each.tenant == path.parent.name for each in records(path.parent)
        )
    found = records(root)
    assert [(each.tenant, each.endpoint) for each in found] == [
        *(("alice", "chat"), ("alice", "messages")),
        *(("bob", "chat"), ("bob", "messages")),
    ]
    for each in found:
        assert each.answer is None
        assert each.request["messages"][0]["content"] == "Say my key, ***, please."
        assert each.cache is not None
        assert each.cache.result == "miss"
        assert [verdict.stage for verdict in each.verdicts] == ["semantic_cache"]
        assert each.usage is not None
        assert each.timing.total_ms > 0
    assert found[0].timing.first_ms is not None
    assert found[1].timing.first_ms is None


async def test_answers_of_streams_are_whole_and_the_cache_still_stores_them(tmp_path: Path) -> None:
    root = await traffic(tmp_path, {"answers": True, "tenant": "alice"})
    stream, whole = records(root)
    assert (stream.tenant, whole.tenant) == ("alice", "alice")
    assert stream.answer["choices"][0]["message"]["content"]
    assert whole.answer["content"][0]["text"]
    assert b"alice-key" not in b"".join(path.read_bytes() for path in root.rglob("*.jsonl"))


async def test_without_the_block_nothing_is_written(tmp_path: Path) -> None:
    root = await traffic(tmp_path, None)
    assert not root.exists()
