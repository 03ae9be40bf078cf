"""Requests that two parsers could read differently: none is served."""

import asyncio

import pytest

from tests.fakes.raw_client import connect, get
from tests.fakes.service import open_house
from tests.fakes.smuggling import MARK, SMUGGLING, TE


@pytest.mark.parametrize("name", SMUGGLING)
async def test_what_two_parsers_could_read_differently_is_refused_and_the_connection_closed(
    name: str,
) -> None:
    """D01, D02, D16: constant text, nothing repeated, nothing asked upstream."""
    async with open_house() as house, connect(house.port) as client:
        client.send(SMUGGLING[name] + get("/livez"))
        answer = await client.answer()
        assert answer.status in {400, 413}
        assert answer.headers["connection"] == "close"
        assert answer.json["error"]["message"] in {
            "The request is not valid HTTP/1.1.",
            "The request's body is not valid HTTP/1.1.",
            "This transfer encoding is not accepted.",
            "The body's chunks are too small.",
            "The request's body is too large.",
        }
        assert MARK not in answer.body
        assert await client.closed() == b""
    assert not house.chain.exchanges
    (outcome,) = house.outcomes
    assert MARK.decode() not in repr(outcome)
    assert outcome.fault == "caller"


async def test_a_bad_chunk_in_the_middle_of_a_body_ends_the_request() -> None:
    """D01: also when the headers were good and the body is being read."""
    async with open_house() as house, connect(house.port) as client:
        client.send(TE + b'chunked\r\n\r\n5\r\n{"mod\r\n')
        await asyncio.sleep(0.02)
        client.send(b"zz\r\n" + MARK)
        answer = await client.answer()
        assert (answer.status, answer.code) == (400, "bad_http")
        assert MARK not in answer.body
        assert await client.closed() == b""
    assert len(house.outcomes) == 1
