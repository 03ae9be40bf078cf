"""Malformed, hostile and oversized requests: refused in the caller's shape, and nobody waits."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import gateway.edge.decode
from tests.fakes import answers
from tests.fakes.hostile import HOSTILE, MARK
from tests.fakes.raw_client import Answer, get
from tests.journeys.journey import CLIENT_KEY, LIMIT, PATHS, Journey, open_journey


async def refused(journey: Journey, name: str, caller: str) -> Answer:
    """Send it, read the answer, and look whether the connection is in the state that it says."""
    journey.asked += 1
    async with asyncio.timeout(LIMIT), journey.client() as client:
        answer = await client.ask(HOSTILE[name].request(PATHS[caller], CLIENT_KEY))
        if answer.headers.get("connection") == "close":
            assert await client.closed() == b""
        else:
            assert (await client.ask(get("/livez"))).status == 200
    return answer


def in_shape(answer: Answer, caller: str) -> bool:
    """Whether the answer is an error as the caller's SDK reads it."""
    error = answer.json["error"]
    if caller == "anthropic":
        shaped = answer.json["type"] == "error" and set(error) == {"type", "message"}
    else:
        shaped = {"message", "type", "param", "code"} <= set(error)
    return shaped and answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("caller", ["openai", "anthropic"])
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_input_is_refused_in_the_callers_shape(name: str, caller: str) -> None:
    """D01 to D08: a 4xx, nothing asked upstream, nothing repeated, and good requests go on."""
    async with open_journey([answers.whole(caller)], caller) as journey:
        answer = await refused(journey, name, caller)
        assert not journey.upstream.requests
        good = await journey.ask(caller, stream=False)
    assert answer.status in HOSTILE[name].statuses
    assert in_shape(answer, caller), answer.body
    assert MARK.encode() not in answer.body
    assert MARK not in str(journey.lines)
    assert good.status == 200


@pytest.mark.parametrize(
    ("work", "name"),
    [
        ("parse_request", "100,001 keys"),
        ("parse_request", "900,000 objects"),
        ("parse_request", "32 MB that break off"),
        ("_plain_size", "a deflate bomb"),
        ("_plain_size", "a gzip bomb that lies"),
    ],
)
async def test_others_are_served_while_something_large_is_read(
    work: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D05, D06, D08: what takes long is done beside the event loop, which answers meanwhile."""
    begun, go_on = threading.Event(), threading.Event()
    really: Callable[..., Any] = getattr(gateway.edge.decode, work)

    def held(*given: Any, **named: Any) -> Any:
        begun.set()
        assert go_on.wait(LIMIT)
        return really(*given, **named)

    monkeypatch.setattr(gateway.edge.decode, work, held)
    async with (
        asyncio.timeout(LIMIT),
        open_journey([answers.whole("openai")]) as journey,
        asyncio.TaskGroup() as group,
        journey.client() as client,
    ):
        waits = group.create_task(refused(journey, name, "openai"))
        await asyncio.to_thread(begun.wait, LIMIT)
        for _ in range(20):
            assert (await client.ask(get("/livez"))).status == 200
        assert not waits.done()
        go_on.set()
    assert waits.result().status in HOSTILE[name].statuses
