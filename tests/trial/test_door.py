"""The door without a socket answers as it does with one."""

import asyncio

import pytest

from gateway.core.exchange import Exchange
from gateway.core.reply import Reply
from gateway.edge.server import Edge
from gateway.trial.clock import TrialClock
from gateway.trial.door import Answer, ask
from tests.fakes.raw_client import CHAT, STREAM
from tests.fakes.service import WHOLE, FakeChain, make_service, make_stream

PATH = "/v1/chat/completions"


async def answer(reply: FakeChain, clock: TrialClock, body: bytes = CHAT, **headers: str) -> Answer:
    edge = Edge(make_service(reply, [], clock=clock))
    return await ask(edge, clock, PATH, {n.replace("_", "-"): v for n, v in headers.items()}, body)


async def test_a_whole_answer_and_its_headers() -> None:
    got = await answer(FakeChain(), TrialClock(0.0))
    assert (got.status, got.body, got.code) == (200, WHOLE.body, "")
    assert got.headers["x-turnout-policy"] == "default"


async def test_a_stream_is_read_to_its_end() -> None:
    blocks = [b'data: {"a":1}\n\n', b"data: [DONE]\n\n"]
    got = await answer(FakeChain(make_stream(blocks)), TrialClock(0.0), STREAM)
    assert got.body.endswith(b"data: [DONE]\n\n")


async def test_an_error_has_its_code() -> None:
    got = await answer(FakeChain(), TrialClock(0.0), b"{")
    assert (got.status, got.code) == (400, "invalid_json")


@pytest.mark.parametrize(("deadline", "status"), [("5000", 504), ("50000", 200)])
async def test_waiting_is_over_as_soon_as_nothing_else_happens(deadline: str, status: int) -> None:
    clock = TrialClock(0.0)

    async def slow(_exchange: Exchange) -> Reply:
        await clock.sleep(30)
        return WHOLE

    async with asyncio.timeout(10):
        got = await answer(FakeChain(slow), clock, x_turnout_deadline_ms=deadline)
    assert got.status == status
