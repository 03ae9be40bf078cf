"""Errors as callers see them."""

import json
from typing import Any

import pytest

from gateway.core.chat import Dialect
from gateway.core.errors import (
    BadRequest,
    CallerError,
    Draining,
    Forbidden,
    GatewayError,
    InternalError,
    Overloaded,
    StreamCut,
    Unauthenticated,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.edge.render import error_body, error_event, retry_headers, status_of


def body(error: GatewayError, dialect: Dialect) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(error_body(error, dialect, "req-1"))
    return parsed


def test_an_openai_error_has_all_its_keys() -> None:
    assert body(BadRequest("'n' must be 1.", param="n"), "openai") == {
        "error": {
            "message": "'n' must be 1.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_request",
            "request_id": "req-1",
        }
    }


def test_an_anthropic_error_has_its_shape() -> None:
    assert body(Forbidden("No."), "anthropic") == {
        "type": "error",
        "error": {"type": "permission_error", "message": "No."},
        "request_id": "req-1",
    }


@pytest.mark.parametrize(
    ("error", "openai", "anthropic"),
    [
        (BadRequest("-"), (400, "invalid_request_error"), (400, "invalid_request_error")),
        (Unauthenticated("-"), (401, "invalid_request_error"), (401, "authentication_error")),
        (CallerError("-", status=402), (402, "insufficient_quota"), (402, "billing_error")),
        (CallerError("-", status=404), (404, "invalid_request_error"), (404, "not_found_error")),
        (CallerError("-", status=409), (409, "invalid_request_error"), (409, "conflict_error")),
        (CallerError("-", status=413), (413, "invalid_request_error"), (413, "request_too_large")),
        (CallerError("-", status=429), (429, "requests"), (429, "rate_limit_error")),
        (InternalError("-"), (500, "server_error"), (500, "api_error")),
        (UpstreamBroken("-"), (502, "server_error"), (502, "api_error")),
        (Overloaded("-"), (503, "server_error"), (529, "overloaded_error")),
        (UpstreamBusy("-", status=529), (503, "server_error"), (529, "overloaded_error")),
        (UpstreamTimeout("-"), (504, "server_error"), (504, "timeout_error")),
    ],
)
def test_every_status_has_its_type_in_both_dialects(
    error: GatewayError, openai: tuple[int, str], anthropic: tuple[int, str]
) -> None:
    expected: dict[Dialect, tuple[int, str]] = {"openai": openai, "anthropic": anthropic}
    for dialect, (status, kind) in expected.items():
        assert status_of(error, dialect) == status
        assert body(error, dialect)["error"]["type"] == kind


REFUSAL = b'{"error": {"message": "context too long", "type":"x","code":null,"extra":1}}'


def test_a_providers_words_pass_untouched_in_its_own_dialect() -> None:
    error = UpstreamRefused("Refused.", status=400, body=REFUSAL, dialect="openai")
    assert error_body(error, "openai", "req-1") == REFUSAL


def test_a_providers_words_are_retold_in_the_other_dialect() -> None:
    error = UpstreamRefused("Refused.", status=400, body=REFUSAL, dialect="openai")
    assert body(error, "anthropic") == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "context too long"},
        "request_id": "req-1",
    }


@pytest.mark.parametrize(
    "words", [b"", b"<html>", b"[1]", b'{"error":1}', b'{"error":{"message":1}}']
)
def test_words_that_make_no_sense_are_replaced_by_ours(words: bytes) -> None:
    error = UpstreamRefused("Refused.", status=400, body=words, dialect="anthropic")
    assert body(error, "openai")["error"]["message"] == "Refused."


def test_the_error_event_is_one_event_in_the_callers_dialect() -> None:
    cut = StreamCut("Ended early.")
    assert error_event(cut, "openai", "r", 3).startswith(
        b'data: {"error":{"message":"Ended early."'
    )
    event = error_event(cut, "anthropic", "r", 3)
    assert event.startswith(b'event: error\ndata: {"type":"error"')
    assert event.count(b"\n\n") == 1


@pytest.mark.parametrize(
    ("error", "attempts", "lines"),
    [
        (UpstreamBusy("-", status=429, retry_after=0.2), 1, "retry-after: 1|retry-after-ms: 200"),
        (
            UpstreamBusy("-", status=429, retry_after=900),
            3,
            "retry-after: 60|retry-after-ms: 60000",
        ),
        (UpstreamBusy("-", status=503, retry_after=-1), 1, "retry-after: 0|retry-after-ms: 0"),
        (UpstreamBusy("-", status=429), 1, ""),
        (UpstreamBusy("-", status=429), 2, "x-should-retry: false"),
        (
            UpstreamBusy(
                "-", status=429, body=b'{"error":{"code":"insufficient_quota"}}', retry_after=1
            ),
            1,
            "x-should-retry: false",
        ),
        (UpstreamBroken("-"), 1, ""),
        (UpstreamBroken("-"), 2, "x-should-retry: false"),
        (UpstreamDenied("-"), 1, "x-should-retry: false"),
        (Unauthenticated("-"), 0, "x-should-retry: false"),
        (Draining("-"), 0, ""),
        (Overloaded("-", retry_after=1), 0, "retry-after: 1|retry-after-ms: 1000"),
    ],
)
def test_sdks_are_told_when_or_whether_to_retry(
    error: GatewayError, attempts: int, lines: str
) -> None:
    assert retry_headers(error, attempts).split("\r\n")[:-1] == (lines.split("|") if lines else [])


def test_sdks_do_not_wait_for_a_poisoned_request_to_be_let_out() -> None:
    held = UpstreamBroken("-", retry_after=60)
    held.held = True
    assert retry_headers(held, 0) == (
        "retry-after: 60\r\nretry-after-ms: 60000\r\nx-should-retry: false\r\n"
    )
