import pytest

from gateway.core.errors import Retry, StreamCut, UpstreamBroken, UpstreamBusy
from gateway.core.stream_errors import error_status, garbage, reported, reported_in, truncated


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 503}, 503),
        ({"code": "429"}, 429),
        ({"code": "4290"}, 500),
        ({"code": "٤٠٠"}, 500),
        ({"code": None, "type": "not_found_error"}, 404),
        ({"status": 413}, 413),
        ({"code": 99999}, 500),
        ({"code": ["a"]}, 500),
        ({}, 500),
        (None, 500),
        ([], 500),
    ],
)
def test_the_status_of_an_error_object(error: object, status: int) -> None:
    assert error_status(error) == status


def test_a_whole_answer_that_is_an_error_is_found() -> None:
    assert isinstance(reported_in(b'{"error":{"code":429}}'), UpstreamBusy)
    assert isinstance(reported_in(b'{"type":"error"}'), UpstreamBroken)
    for body in (b"", b"<html>", b"[]", b'{"error":null,"choices":[]}'):
        assert reported_in(body) is None


def test_a_spent_quota_is_not_waited_for() -> None:
    spent = reported(b'{"error":{"type":"insufficient_quota","message":"m"}}', primed=False)
    assert (type(spent), spent.retry) == (UpstreamBusy, Retry.OTHER)


def test_details_are_short_and_never_public() -> None:
    body = b'{"error":{"type":"server_error","message":"' + b"secret " * 500 + b'"}}'
    for primed in (False, True):
        error = reported(body, primed=primed)
        assert len(error.detail) <= 300
        assert "secret" not in error.public
    assert isinstance(denied := reported(b'{"error":{"code":401}}', primed=True), StreamCut)
    assert denied.body == b""
    assert reported(b"[1]", primed=False).detail == "an error without details"


def test_only_what_is_not_primed_may_be_tried_again() -> None:
    assert isinstance(truncated(primed=True), StreamCut)
    assert isinstance(truncated(primed=False), UpstreamBroken)
    assert isinstance(garbage(True, "x"), StreamCut)
    assert isinstance(garbage(False, "x"), UpstreamBroken)
