"""B10: what is purged under load is gone within a second, at hand, in store and from the disk."""

import asyncio
from collections.abc import Mapping
from itertools import count
from math import inf
from typing import Any

import aiohttp

from tests.fakes.gateway import OpenGateway, open_test_gateway
from tests.fakes.metered import HELLO, limited_config
from tests.fakes.upstream import Answer, Received, json_reply, open_upstream

TOKEN = "a-token-for-operators"
CANARY = "canary-5f1c"


ANSWER: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def config(url: Any) -> dict[str, Any]:
    made = limited_config(url)
    made["pipeline"].append({"stage": "semantic_cache", "tags": ["faq"]})
    settings = {"state": {"kind": "sqlite"}, "admin_token": "env:TOKEN"}
    return {**made, "settings": settings}


async def admin(gateway: OpenGateway, method: str, path: str, **body: Any) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, gateway.admin_url + path, json=body) as response,
    ):
        return response.status, await response.json()


async def ask(session: aiohttp.ClientSession, url: str) -> Mapping[str, str]:
    async with session.post(url, json=dict(HELLO)) as response:
        return response.headers


def left_on_disk(gateway: OpenGateway) -> list[str]:
    files = (gateway.log.parent / "data").rglob("*")
    return [file.name for file in files if file.is_file() and CANARY.encode() in file.read_bytes()]


def said_by(text: str) -> Answer:
    (choice,) = ANSWER["choices"]
    message = {"role": "assistant", "content": text}
    return json_reply({**ANSWER, "choices": [{**choice, "message": message}]})


async def test_b10_a_purge_under_load_holds_within_a_second_and_leaves_nothing_on_disk() -> None:
    seen, loop, purged_at = list[tuple[float, int, str]](), asyncio.get_running_loop(), inf

    def answer(_: Received) -> Answer:
        return said_by(CANARY if loop.time() < purged_at else "new")

    async with (
        open_upstream(answer) as upstream,
        open_test_gateway({"TOKEN": TOKEN}, **config(upstream)) as gateway,
        aiohttp.ClientSession() as session,
    ):
        stop = asyncio.Event()

        async def client(number: int) -> None:
            for asked in count(number):
                if stop.is_set():
                    return
                body = {**HELLO, "seed": asked % 20}
                url = gateway.url + "/chat/completions"
                async with session.post(url, json=body) as response:
                    text = (await response.json())["choices"][0]["message"]["content"]
                    seen.append((loop.time(), response.status, text))
                await asyncio.sleep(0.001)

        clients = [asyncio.create_task(client(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        purged_at = loop.time()
        status, said = await admin(gateway, "DELETE", "/admin/cache", tenant="local")
        await asyncio.sleep(1.5)
        stop.set()
        await asyncio.gather(*clients)
        left = await asyncio.to_thread(left_on_disk, gateway)
    assert (status, said["dry_run"]) == (200, False)
    assert said["removed"] == 20
    later = [text for at, _, text in seen if at > purged_at + 1]
    assert len(later) > 50
    assert not [text for text in later if CANARY in text]
    assert {status for _, status, _ in seen} == {200}
    assert left == []


async def test_an_operator_sees_counts_purges_dry_and_tells_of_a_wrong_answer() -> None:
    async with (
        open_upstream([json_reply(ANSWER)]) as upstream,
        open_test_gateway({"TOKEN": TOKEN}, **config(upstream)) as gateway,
        aiohttp.ClientSession() as session,
    ):
        url = gateway.url + "/chat/completions"
        await ask(session, url)
        name = (await ask(session, url))["x-turnout-cache-id"]
        async with asyncio.timeout(5):
            while not (await admin(gateway, "GET", "/admin/cache"))[1]["store"]:
                await asyncio.sleep(0.02)
        _, stats = await admin(gateway, "GET", "/admin/cache")
        dry = await admin(gateway, "DELETE", "/admin/cache", tag="faq", dry_run=True)
        told = await admin(gateway, "POST", "/admin/cache/feedback", id=name)
        again = await admin(gateway, "POST", "/admin/cache/feedback", id=name)
        assert (await ask(session, url))["x-turnout-cache"] == "miss"
        async with asyncio.timeout(5):  # the log is written behind the answers
            while not (lines := [e for e in gateway.events() if "wrong" in e["event"]]):
                await asyncio.sleep(0.02)
    assert stats["at_hand"]["answers"] == 1
    assert [each["answers"] for each in stats["store"]] == [1]
    assert dry == (200, {"removed": 1, "dry_run": True})
    assert told == (200, {"removed": 1, "group": "local/default/m"})
    assert again[0] == 404
    assert [line["id"] for line in lines] == [name]
