"""Whatever the parser complains of, the caller is told a constant text."""

import json

import pytest
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, InvalidHeader, LineTooLong

from gateway.edge.unreadable import FULL, caller_error, too_large

MARK = "Zq9Canary"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadHttpMessage(MARK), 400, "bad_http"),
        (BadStatusLine(MARK), 400, "bad_http"),
        (InvalidHeader(MARK), 400, "bad_http"),
        (LineTooLong(MARK), 431, "headers_too_large"),
        (BadHttpMessage("Too many headers received"), 431, "headers_too_large"),
    ],
)
def test_a_complaint_is_told_without_its_words(
    error: BadHttpMessage, status: int, code: str
) -> None:
    told = caller_error(error)
    assert (told.status, told.code) == (status, code)
    assert MARK not in told.public + told.detail


def test_headers_over_the_limit_are_431() -> None:
    assert (too_large().status, too_large().code) == (431, "headers_too_large")


def test_one_connection_too_many_is_told_in_a_whole_answer() -> None:
    head, _, body = FULL.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body)["error"]["code"] == "overloaded"
