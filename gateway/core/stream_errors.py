"""What went wrong inside an event stream, as the GatewayError that says whether to try again.

Before the first content event ("primed") an error may still be hidden by another try; after it
the caller holds half an answer, and the only honest thing is a StreamCut.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import Dialect
from gateway.core.errors import (
    Retry,
    StreamCut,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)

_DETAIL: Final = 300
_HTTP_STATUS: Final = re.compile(r"[45][0-9]{2}\Z")
_DENIED: Final = frozenset({401, 402, 403})
"""Our credentials: the provider's words about them are not for callers."""
_QUOTA: Final = "insufficient_quota"
_BUSY: Final = "The provider is busy. Try again later."
_REFUSED: Final = "The provider refused the request."
_STATUS: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "context_length_exceeded": 400,
    "content_policy_violation": 400,
    "content_filter": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    _QUOTA: 429,
    "tokens": 429,
    "requests": 429,
    "overloaded": 503,
    "server_overloaded": 503,
    "service_unavailable": 503,
    "timeout_error": 504,
    "timeout": 504,
    "overloaded_error": 529,
}


def truncated(primed: bool) -> UpstreamError:
    """Return the error for a stream that ended before its terminal event."""
    return _broken(primed, "The provider's answer ended too early.", "upstream_truncated", "")


def garbage(primed: bool, detail: str) -> UpstreamError:
    """Return the error for bytes that are no events of the dialect."""
    code = "upstream_garbage" if primed else "bad_upstream"
    return _broken(primed, "The provider's answer cannot be read.", code, detail)


def check_text(block: bytes, primed: bool) -> None:
    """Raise what events deserve that are not UTF-8, also where nobody looks at their text."""
    try:
        block.decode()
    except UnicodeDecodeError as error:
        raise garbage(primed, "an event is not UTF-8") from error


def error_status(error: object) -> int:
    """Return the HTTP status that an error object stands for, 500 when it does not say."""
    if not isinstance(error, dict):
        return 500
    for name in ("code", "status", "type"):
        value = error.get(name)
        if isinstance(value, str):
            value = _STATUS.get(value) or (int(value) if _HTTP_STATUS.match(value) else None)
        if isinstance(value, int) and 400 <= value <= 599:  # noqa: PLR2004 - HTTP errors
            return value
    return 500


def reported_in(body: bytes) -> UpstreamError | None:
    """Return the error that a 200 answer's body is, or None when it is none."""
    try:
        whole = wire.decode(body)
    except ValueError:
        return None
    if isinstance(whole, dict) and (whole.get("error") or whole.get("type") == "error"):
        return reported(body, primed=False)
    return None


def reported(data: bytes, primed: bool) -> UpstreamError:
    """Return the error for an event or a 200 answer that holds an error object, either dialect."""
    whole: Any = wire.decode(data)
    error = whole.get("error", whole) if isinstance(whole, dict) else whole
    detail, status = _describe(error), error_status(error)
    if primed:
        cut = StreamCut(
            "The provider reported an error in the middle of its answer.",
            code="upstream_error",
            detail=detail,
        )
        if status not in _DENIED:
            cut.status, cut.body = status, data
        return cut
    dialect: Dialect = "openai"
    if isinstance(whole, dict) and whole.get("type") == "error":
        dialect = "anthropic"
        body = data
    else:
        body = wire.encode({"error": error}) if isinstance(error, dict) else b""
    answer = _by_status(status, body, dialect, detail)
    if isinstance(error, dict) and _QUOTA in (error.get("code"), error.get("type")):
        answer.retry = Retry.OTHER  # no wait refills a quota
    return answer


def _by_status(status: int, body: bytes, dialect: Dialect, detail: str) -> UpstreamError:
    if status in _DENIED:
        return UpstreamDenied("The provider refused the gateway's credentials.", detail=detail)
    if status in {429, 503, 529}:
        return UpstreamBusy(_BUSY, status=status, body=body, dialect=dialect, detail=detail)
    if status in {408, 504}:
        late = UpstreamTimeout("The provider did not answer in time.", detail=detail)
        late.provider_status = status
        return late
    if status < 500:  # noqa: PLR2004 - what is left of HTTP's 4xx
        return UpstreamRefused(_REFUSED, status=status, body=body, dialect=dialect, detail=detail)
    return UpstreamBroken("The provider failed.", code="bad_upstream", detail=detail)


def _describe(error: object) -> str:
    if not isinstance(error, dict):
        return "an error without details"
    parts = (f"{name}={error[name]}" for name in ("type", "code", "message") if error.get(name))
    return " ".join(parts)[:_DETAIL]


def _broken(primed: bool, public: str, code: str, detail: str) -> UpstreamError:
    kind = StreamCut if primed else UpstreamBroken
    return kind(public, code=code, detail=detail)
