"""Refusals in the words of several providers."""

import json

import pytest

from gateway.core.errors import UpstreamBroken, UpstreamRefused
from gateway.core.refusal import refusal


@pytest.mark.parametrize(
    ("error", "found"),
    [
        ({"code": "context_length_exceeded", "message": "x"}, "context_window"),
        (
            {
                "type": "invalid_request_error",
                "message": "prompt is too long: 213462 tokens > 200000 maximum",
            },
            "context_window",
        ),
        ({"message": "This model's maximum context length is 4096 tokens."}, "context_window"),
        ({"message": "the request exceeds the available context size"}, "context_window"),
        ({"code": "content_filter", "message": "x"}, "content_policy"),
        ({"code": "content_policy_violation"}, "content_policy"),
        ({"message": "Output blocked by content filtering policy"}, "content_policy"),
        ({"code": 400, "message": "temperature must be a number"}, ""),
        ({"message": 7}, ""),
    ],
)
def test_a_refusal_is_known_by_its_code_or_its_words(error: object, found: str) -> None:
    body = json.dumps({"error": error}).encode()
    assert refusal(UpstreamRefused("no", status=400, body=body)) == found


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b'{"error":"maximum context length"}'])
def test_what_is_no_error_object_says_nothing(body: bytes) -> None:
    assert refusal(UpstreamRefused("no", status=400, body=body)) == ""


def test_only_a_refusal_is_looked_at() -> None:
    body = b'{"error":{"code":"context_length_exceeded"}}'
    assert refusal(UpstreamBroken("maximum context length")) == ""
    assert refusal(UpstreamRefused("no", status=404, body=body)) == ""
