"""Every attempt that a provider may bill is charged: ledger, budget and provider's meter agree."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.core.chat import parse_request
from gateway.core.estimate import input_tokens
from tests.fakes.answers import sse
from tests.fakes.gateway import open_test_gateway
from tests.fakes.metered import HELLO, Crowd, chunks, counted, ledger
from tests.fakes.upstream import (
    CUT,
    RESET,
    STALL,
    Answer,
    Received,
    json_reply,
    open_upstream,
    sse_reply,
)

BROUGHT = input_tokens(parse_request("chat", json.dumps(HELLO).encode()))
"""What the providers count HELLO at, as the gateway guesses."""
PRICES = {"a": {"input": 3, "output": 10}, "b": {"input": 1, "output": 20}}
DAY: list[Mapping[str, Any]] = [{"cost": 1.0, "each": "day"}]
Say = Callable[[Received], Answer]


class Biller:
    """A provider that bills what it did, however its answer ends."""

    def __init__(self, prices: Mapping[str, int], end: str) -> None:
        self.end = end
        self.prices = prices
        self.bill = 0

    def answer(self, request: Received) -> Answer:
        usage = {"prompt_tokens": BROUGHT, "completion_tokens": 2, "total_tokens": BROUGHT + 2}
        self.bill += BROUGHT * self.prices["input"]
        if self.end == "silent":
            return sse_reply([STALL])
        if self.end == "reset":
            return sse_reply([RESET])
        if self.end == "garbage":
            return json_reply("not an answer at all")
        self.bill += 2 * self.prices["output"]
        if self.end == "broken":
            parts = sse(*chunks(None, ("one", " two")))[:2]
            return sse_reply([*parts, CUT])
        if request.json.get("stream"):
            return sse_reply([*sse(*chunks(usage)), b"data: [DONE]\n\n"])
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
        return json_reply(
            {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}
        )


@pytest.mark.parametrize(
    ("end", "mode", "stream"),
    [
        ("reset", "direct", False),
        ("reset", "direct", True),
        ("garbage", "direct", False),
        ("silent", "buffered", False),
        ("silent", "direct", True),
        ("broken", "buffered", False),
    ],
)
async def test_an_attempt_that_broke_is_charged_beside_the_one_that_answered(
    end: str, mode: str, stream: bool
) -> None:
    billed, sums, spent = await ask({"a": end, "b": "well"}, mode, stream=stream)
    requests, attempts = sums["requests"], sums["attempts"]
    assert requests == (1, *attempts[1:])
    assert attempts[0] == 2
    assert attempts[3] == sum(billed.values()) == spent


async def test_where_nobody_answers_one_attempt_is_charged_as_reserved_and_the_other_too() -> None:
    billed, sums, spent = await ask({"a": "reset", "b": "reset"}, "direct", stream=False)
    assert sums["attempts"][0] == 2
    assert sums["requests"][3] == sums["attempts"][3] == spent
    assert spent >= sum(billed.values()) + 100 * PRICES["a"]["output"]


async def ask(
    ends: Mapping[str, str], mode: str, *, stream: bool
) -> tuple[dict[str, int], dict[str, Any], int]:
    """Ask once; return what each provider bills, the ledger's sums, and what the budget spent."""
    billers = {name: Biller(PRICES[name], end) for name, end in ends.items()}
    async with open_upstream(billers["a"].answer) as a, open_upstream(billers["b"].answer) as b:
        targets = [{"model": name, "first_token": 0.3} for name in ends]
        config: dict[str, Any] = {
            "providers": {
                name: {"kind": "openai", "base_url": each.url}
                for name, each in (("a", a), ("b", b))
            },
            "models": {name: {"provider": name, "price": PRICES[name]} for name in ends},
            "aliases": {"m": "a"},
            "pipeline": [
                {"stage": "rate_limit", "limits": DAY},
                {"stage": "failover", "targets": targets},
                {"stage": "relay", "mode": mode},
            ],
        }
        async with open_test_gateway(**config) as gateway:
            await Crowd([gateway.url]).ask(1, stream=stream)
            data = gateway.log.parent / "data"
            sums, spent = await settled(data)
    return {name: each.bill for name, each in billers.items()}, sums, spent


async def settled(data: Path) -> tuple[dict[str, Any], int]:
    async with asyncio.timeout(10):
        while not (sums := await asyncio.to_thread(ledger, data))["requests"][0]:
            await asyncio.sleep(0.01)
        while (await asyncio.to_thread(counted, data))[0][1]:
            await asyncio.sleep(0.01)
    [(spent, _)] = await asyncio.to_thread(counted, data)
    return sums, spent
