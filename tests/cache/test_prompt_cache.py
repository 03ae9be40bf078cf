"""Providers' own prompt caches: what one turn of a conversation wrote, the next one reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from tests.fakes import answers
from tests.fakes.doors import Doors, open_doors
from tests.fakes.gateway import open_test_gateway
from tests.fakes.prompt_cache import PromptCache, marks_in
from tests.fakes.upstream import open_upstream

LONG = "word " * 2000
PRICE = {"input": 1, "output": 5, "cached": 0.1, "cache_write": 1.25, "cache_write_1h": 2}
MODEL = {"provider": "main", "price": PRICE, "max_output": 1000}
TOOL: Any = {"name": "look", "input_schema": {"type": "object", "properties": {}}}


@asynccontextmanager
async def open_house(ttl: str = "5m") -> AsyncIterator[tuple[Doors, PromptCache]]:
    cache = PromptCache()
    async with (
        open_upstream(cache) as upstream,
        open_test_gateway(
            providers={"main": {"kind": "anthropic", "base_url": upstream.url}},
            models={"claude": MODEL},
            pipeline=[{"stage": "prompt_cache", "ttl": ttl}],
        ) as gateway,
    ):
        yield Doors(url=gateway.root, model="claude", gateway=gateway), cache


def charged(usage: Any, write: float = 1.25) -> str:
    """What a price list says, in dollars."""
    micro = (
        usage["input_tokens"] * 1
        + usage["cache_read_input_tokens"] * 0.1
        + usage["cache_creation_input_tokens"] * write
        + usage["output_tokens"] * 5
    )
    return f"{int(micro + 0.5) / 1e6:.6f}"


def requests_of(doors: Doors) -> list[dict[str, Any]]:
    return [event for event in doors.gateway.events() if event["event"] == "request"]


async def test_each_turn_reads_what_the_one_before_it_wrote() -> None:
    turns: list[Any] = [{"role": "user", "content": "Begin."}]
    async with (
        open_house() as (doors, cache),
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="any") as sdk,
    ):
        for turn in range(4):
            raw = await sdk.messages.with_raw_response.create(
                model="claude", max_tokens=50, system=LONG, tools=[TOOL], messages=turns
            )
            usage = cache.usages[turn]
            told = raw.headers["x-turnout-prompt-cached-tokens"]
            assert int(told) == usage["cache_read_input_tokens"]
            assert raw.headers["x-turnout-cost"] == charged(usage)
            assert (await raw.parse()).stop_reason == "end_turn"
            turns += [
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": f"{turn} {LONG}"},
            ]
    first, second, third, fourth = cache.usages
    assert (first["cache_read_input_tokens"], first["cache_creation_input_tokens"] > 2000) == (
        0,
        True,
    )
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    for before, after in ((second, third), (third, fourth)):
        kept = before["cache_read_input_tokens"] + before["cache_creation_input_tokens"]
        assert after["cache_read_input_tokens"] == kept > 4000


async def test_a_chat_in_openais_dialect_is_kept_and_charged_alike() -> None:
    turns: list[Any] = [{"role": "system", "content": LONG}, {"role": "user", "content": "Begin."}]
    async with (
        open_house("1h") as (doors, cache),
        openai.AsyncOpenAI(base_url=f"{doors.url}/v1", api_key="any") as sdk,
    ):
        for turn in range(3):
            raw = await sdk.chat.completions.with_raw_response.create(
                model="claude", messages=turns
            )
            usage = cache.usages[turn]
            assert raw.headers["x-turnout-cost"] == charged(usage, write=2)
            told = raw.parse().usage
            assert told is not None
            assert told.prompt_tokens_details is not None
            assert told.prompt_tokens_details.cached_tokens == usage["cache_read_input_tokens"]
            turns += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": LONG}]
    assert cache.usages[0]["cache_creation"]["ephemeral_1h_input_tokens"] > 2000
    assert cache.usages[2]["cache_read_input_tokens"] > 4000


async def test_a_stream_says_it_in_the_log_the_metrics_and_the_ledger() -> None:
    asked: Any = {"max_tokens": 50, "system": LONG, "messages": [{"role": "user", "content": "Hi"}]}
    async with (
        open_house() as (doors, cache),
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="any") as sdk,
    ):
        for _ in range(2):
            async with sdk.messages.stream(model="claude", **asked) as events:
                await events.get_final_message()
                assert "x-turnout-prompt-cached-tokens" not in events.response.headers
        metrics = (await doors.gateway.gateway.process.metrics()).decode()
        for _ in range(100):  # lines are written up to 20 ms after the fact
            if len(requests_of(doors)) == 2:
                break
            await asyncio.sleep(0.02)
        first, second = requests_of(doors)
    written = cache.usages[0]["cache_creation_input_tokens"]
    assert (first["tokens_cached"], first["tokens_cache_write"]) == (0, written)
    assert (second["tokens_cached"], second["tokens_cache_write"]) == (written, 0)
    assert first["stages"] == ["prompt_cache: 5m"]
    for part in ("cached", "cache_write"):
        lines = [x for x in metrics.splitlines() if "tokens_part_total{" in x and f'"{part}"' in x]
        assert [float(line.rpartition(" ")[2]) for line in lines] == [written]


async def test_an_openai_provider_gets_no_marks() -> None:
    async with (
        open_upstream([answers.whole("openai")]) as upstream,
        open_doors(upstream, "openai", pipeline=[{"stage": "prompt_cache"}]) as doors,
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="any") as sdk,
    ):
        await sdk.messages.create(
            model=doors.model,
            max_tokens=50,
            system=LONG,
            messages=[{"role": "user", "content": "?"}],
        )
    assert b"cache_control" not in upstream.requests[0].body


async def test_the_callers_own_marks_win() -> None:
    own: Any = [
        {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": LONG},
    ]
    async with (
        open_house("1h") as (doors, cache),
        anthropic.AsyncAnthropic(base_url=doors.url, api_key="any") as sdk,
    ):
        await sdk.messages.create(
            model="claude", max_tokens=5, system=own, messages=[{"role": "user", "content": "?"}]
        )
    assert marks_in(cache.bodies[0]) == [0]
    assert cache.bodies[0]["system"] == own


@pytest.mark.parametrize("when", [{"model": "other"}, {"stream": True}])
async def test_a_when_that_does_not_hold_leaves_the_request_alone(when: Any) -> None:
    cache = PromptCache()
    async with (
        open_upstream(cache) as upstream,
        open_test_gateway(
            providers={"main": {"kind": "anthropic", "base_url": upstream.url}},
            models={"claude": MODEL, "other": MODEL},
            pipeline=[{"stage": "prompt_cache", "when": when}],
        ) as gateway,
        anthropic.AsyncAnthropic(base_url=gateway.root, api_key="any") as sdk,
    ):
        await sdk.messages.create(
            model="claude", max_tokens=5, system=LONG, messages=[{"role": "user", "content": "?"}]
        )
    assert marks_in(cache.bodies[0]) == []
