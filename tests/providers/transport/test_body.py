"""The body of a response: fed by the real parser, taken by its one reader."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpResponseParser
from aiohttp.streams import EMPTY_PAYLOAD, EmptyStreamReader

from gateway.providers.transport.body import NO_BODY, Body, body_of

_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_LIMIT = 1 << 10


class Flow:
    """Says how often reading was paused and resumed."""

    def __init__(self) -> None:
        self.paused = self.resumed = 0

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self, resume_parser: bool = True) -> None:
        del resume_parser
        self.resumed += 1


async def opened(head: bytes = _CHUNKED) -> tuple[HttpResponseParser, Any, Flow]:
    flow = Flow()
    parser = HttpResponseParser(
        cast("BaseProtocol", flow),
        asyncio.get_running_loop(),
        _LIMIT,
        read_until_eof=True,
        auto_decompress=False,
    )
    messages, _, _ = parser.feed_data(head)
    return parser, body_of(messages[0][1]), flow


async def test_a_body_is_taken_as_it_comes_and_whole_when_it_piled_up() -> None:
    parser, body, _ = await opened()
    assert isinstance(body, Body)
    assert body.take() is None
    parser.feed_data(b"3\r\none\r\n")
    assert body.take() == b"one"
    assert body.take() is None
    parser.feed_data(b"3\r\ntwo\r\n5\r\nth")
    parser.feed_data(b"ree\r\n")
    assert body.take() == b"twothree"
    assert not body.is_eof()


async def test_what_came_with_the_head_is_the_first_to_be_taken() -> None:
    parser, body, _ = await opened(_CHUNKED + b"3\r\none\r\n")
    parser.feed_data(b"3\r\ntwo\r\n")
    assert body.take() == b"onetwo"


async def test_it_is_at_its_end_once_the_last_byte_is_taken() -> None:
    parser, body, _ = await opened()
    parser.feed_data(b"3\r\none\r\n0\r\n\r\n")
    assert (body.is_eof(), body.at_eof()) == (True, False)
    assert body.take() == b"one"
    assert body.at_eof()
    assert body.take() == b""


async def test_reading_pauses_when_bytes_pile_up_and_goes_on_when_they_are_taken() -> None:
    parser, body, flow = await opened()
    parser.feed_data(b"800\r\n" + b"x" * 2048 + b"\r\n")
    assert flow.paused == 0
    parser.feed_data(b"1\r\nx\r\n")
    assert flow.paused == 1
    assert len(body.take()) == 2049
    assert flow.resumed == 1


async def test_reading_pauses_when_many_tiny_pieces_pile_up() -> None:
    parser, body, flow = await opened()
    pieces = _LIMIT // 16
    parser.feed_data(b"1\r\nx\r\n" * pieces)
    assert flow.paused == 0
    parser.feed_data(b"1\r\nx\r\n")
    assert flow.paused == 1
    assert body.take() == b"x" * (pieces + 1)


@pytest.mark.parametrize("status", ["204 No Content", "103 Early Hints"])
async def test_a_response_without_a_body_is_at_its_end_at_once(status: str) -> None:
    _, body, _ = await opened(f"HTTP/1.1 {status}\r\n\r\n".encode())
    assert body.is_eof()
    assert body.at_eof()
    assert body.take() == b""


async def test_the_parsers_own_empty_body_stays_as_it_is() -> None:
    assert body_of(EMPTY_PAYLOAD) is NO_BODY
    assert type(EMPTY_PAYLOAD) is EmptyStreamReader
