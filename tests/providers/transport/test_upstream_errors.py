"""The one mapping from what an upstream did to what caller and failover are told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import (
    Retry,
    UpstreamAnswered,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.providers.transport.client import parse_retry_after, upstream_error

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
SAID = b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}'
SAID_ANTHROPIC = b'{"type":"error","error":{"type":"not_found_error","message":"model: x"}}'


def told(status: int, body: bytes = SAID, **headers: str) -> UpstreamError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return upstream_error(status, named, body, "openai", NOW)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_a_refusal_is_passed_on_in_the_providers_words(status: int) -> None:
    error = told(status)
    assert isinstance(error, UpstreamRefused)
    assert (error.status, error.provider_status, error.body) == (status, status, SAID)
    # A model that this provider lacks, another one may have.
    assert error.retry is (Retry.OTHER if status == 404 else Retry.NEVER)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_our_refused_key_is_the_operators_matter(status: int) -> None:
    error = told(status)
    assert isinstance(error, UpstreamDenied)
    assert (error.status, error.provider_status) == (502, status)
    assert error.retry is Retry.OTHER
    assert "invalid_request" not in error.public + error.detail


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_busy_provider_says_when_to_come_back(status: int) -> None:
    error = told(status, retry_after="7")
    assert isinstance(error, UpstreamBusy)
    assert (error.status, error.retry_after, error.body) == (status, 7.0, SAID)
    assert error.retry is Retry.SAME
    assert error.code == "upstream_busy"


@pytest.mark.parametrize("field", ["code", "type"])
def test_a_used_up_quota_is_not_waited_for(field: str) -> None:
    error = told(429, json.dumps({"error": {field: "insufficient_quota"}}).encode())
    assert isinstance(error, UpstreamBusy)
    assert (error.retry, error.code, error.status) == (Retry.OTHER, "upstream_quota", 429)


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_providers_own_timeout_is_a_timeout(status: int) -> None:
    error = told(status)
    assert isinstance(error, UpstreamTimeout)
    assert (error.status, error.provider_status) == (504, status)


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "upstream_broken"), (502, "upstream_broken"), (520, "upstream_broken")]
    + [(status, "bad_upstream") for status in (101, 202, 301, 304)],
)
def test_failures_and_nonsense_are_broken(status: int, code: str) -> None:
    error = told(status)
    assert isinstance(error, UpstreamBroken)
    assert (error.status, error.code, error.retry) == (502, code, Retry.OTHER)


def test_other_4xx_are_refusals_only_when_the_provider_explains_them() -> None:
    assert isinstance(told(451), UpstreamRefused)
    explained_by_a_proxy = told(405, b"<html>Not Allowed</html>")
    assert isinstance(explained_by_a_proxy, UpstreamBroken)
    assert explained_by_a_proxy.code == "bad_upstream"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (SAID, True),
        (SAID_ANTHROPIC, True),
        (b'{"error":"no such model"}', True),
        (b'{"type":"error"}', True),
        (b'{"message":"no"}', False),
        (b'["error"]', False),
        (b'"error"', False),
        (b"<html>error</html>", False),
        (b"", False),
        (b"\xff", False),
        (b"[" * 100_000, False),
        (b'{"error":"' + b"x" * (64 << 10) + b'"}', False),
    ],
)
def test_only_an_error_object_of_bearable_size_is_shown(body: bytes, kept: bool) -> None:
    for status in (400, 429):
        error = told(status, body)
        assert isinstance(error, UpstreamAnswered)
        assert error.body == (body if kept else b"")
        assert error.public


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "1e9"}, 86_400.0),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400.0),
        ({"retry-after": "Fri, 99 Foo 99999 99:99:99 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"}, None),
        ({"retry-after-ms": "200", "retry-after": "9"}, 0.2),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert parse_retry_after(headers, NOW) == seconds


@given(st.text())
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    seconds = parse_retry_after({"retry-after": value, "retry-after-ms": value}, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


@given(st.integers(100, 599), st.binary(max_size=50))
def test_every_status_has_a_meaning_and_never_repeats_the_body(status: int, body: bytes) -> None:
    error = told(status, body)
    assert error.provider_status == status
    assert error.public
    assert error.status >= 400
