"""What the shipped policy leaves on the disk: answers, as its page says, and no question."""

import asyncio
from pathlib import Path

import aiohttp
import yaml

from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.metered import HELLO, limited_config
from tests.fakes.upstream import json_reply, open_upstream

SHIPPED = Path(__file__).parents[2] / "policies/default.yaml"
ANSWERED = "the canary of the answer"
ASKED = "the canary of the question"
REPLY = {
    "id": "c",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWERED},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def holding(gateway: OpenGateway, text: str) -> list[str]:
    """Return which of the files below the data directory have this text in them."""
    files = [file for file in (gateway.log.parent / "data").rglob("*") if file.is_file()]
    return sorted(file.name for file in files if text.encode() in file.read_bytes())


async def test_the_shipped_policy_leaves_answers_on_the_disk_and_no_question() -> None:
    pipeline = yaml.safe_load(SHIPPED.read_text())["pipeline"]
    async with open_upstream([json_reply(REPLY)]) as upstream:
        config = {**limited_config(upstream), "pipeline": pipeline}
        settings = {"state": {"kind": "sqlite"}}
        async with (
            open_test_gateway(**config, settings=settings) as gateway,
            aiohttp.ClientSession() as session,
        ):
            body = {**HELLO, "messages": [{"role": "user", "content": ASKED}]}
            async with session.post(gateway.url + "/chat/completions", json=body) as response:
                assert response.headers["x-turnout-cache"] == "miss"
            async with asyncio.timeout(10):
                while not (files := await asyncio.to_thread(holding, gateway, ANSWERED)):
                    await asyncio.sleep(0.05)
            assert all(name.startswith("answers.db") for name in files)
            assert await asyncio.to_thread(holding, gateway, ASKED) == []
