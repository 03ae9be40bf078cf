"""Requests that two parsers could read differently: none is served."""

import asyncio
import sys

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


RESETTING = """
import socket, struct, sys
for _ in range(300):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(bytes.fromhex(sys.argv[2]))
        client.recv(1)
"""


def test_a_client_that_resets_when_it_is_refused_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """D01: haproxy does. On asyncio's own loop, where its end can be told too late."""

    async def refuse() -> None:
        async with open_house() as house:
            request = SMUGGLING["lower-case method"].hex()
            command = (sys.executable, "-c", RESETTING, str(house.port), request)
            process = await asyncio.create_subprocess_exec(*command)
            assert await process.wait() == 0
            await house.until_reported(300)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(refuse())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


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
