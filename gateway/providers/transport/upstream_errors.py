"""What an upstream's failure means: the one mapping from codes, statuses and headers to errors."""

import math
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import Dialect
from gateway.core.errors import (
    Retry,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)

MAX_ERROR_BODY: Final = 64 << 10
MAX_RETRY_AFTER: Final = 86_400.0
_AGAIN: Final = " Try again, or use another model."
_TIMEOUTS: Final[Mapping[str, str]] = {
    "upstream_timeout": "The provider did not finish in time." + _AGAIN,
    "upstream_connect_timeout": "The provider could not be reached in time." + _AGAIN,
    "upstream_first_byte_timeout": "The provider did not begin to answer in time." + _AGAIN,
    "upstream_idle": "The provider stopped in the middle of its answer." + _AGAIN,
    "upstream_pool_timeout": "All connections to the provider are busy. Try again later.",
}
_FAILURES: Final[Mapping[str, str]] = {
    "upstream_refused_connection": "The provider does not accept connections." + _AGAIN,
    "upstream_dns": "The provider's host name could not be resolved." + _AGAIN,
    "upstream_certificate_expired": "The provider's certificate is out of date." + _AGAIN,
    "upstream_certificate_name": "The provider's certificate is for another host." + _AGAIN,
    "upstream_tls": "No secure connection to the provider could be made." + _AGAIN,
    "upstream_reset": "The provider closed the connection." + _AGAIN,
    "upstream_truncated": "The provider's answer broke off." + _AGAIN,
    "bad_upstream": "The provider's answer could not be understood." + _AGAIN,
    "upstream_broken": "The provider failed." + _AGAIN,
}
_REFUSED: Final[Mapping[int, str]] = {
    400: "The provider refused the request as invalid. Check its parameters.",
    404: "The provider does not know this model or route. Check the model's name.",
    409: "The provider reports a conflict with another request. Try again.",
    413: "The request is too large for the provider. Send less.",
    422: "The provider could not process the request. Check its parameters.",
}
_CALLERS_FAULT: Final = frozenset({400, 413, 422})
"""The request itself was refused; a model that the provider does not know is our error."""
_DENIED: Final = "The provider refused the gateway's credentials. Tell its operator."
_BUSY: Final[Mapping[int, str]] = {
    429: "The provider's rate limit is reached. Wait, then try again.",
    503: "The provider is unavailable for now. Wait, then try again.",
    529: "The provider is overloaded. Wait, then try again.",
}
_QUOTA: Final = "The gateway's quota at the provider is used up. Tell its operator."


def timed_out(code: str, detail: str = "") -> UpstreamTimeout:
    """Return the timeout of this code, with its constant public text."""
    return UpstreamTimeout(_TIMEOUTS[code], code=code, detail=detail)


def broken(code: str, detail: str = "") -> UpstreamBroken:
    """Return the failure of this code, with its constant public text."""
    return UpstreamBroken(_FAILURES[code], code=code, detail=detail)


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait, at most a day; None when absent or nonsense. `now` is wall time.

    `retry-after-ms` goes before `retry-after`, which may be seconds or an HTTP date.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER)
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is None:
        seconds = _until(value, now)
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(date: str, now: float) -> float | None:
    parsed = parsedate_tz(date)
    if parsed is None:
        return None
    try:
        return max(0.0, mktime_tz(parsed) - now)
    except (ValueError, OverflowError):
        return None


def upstream_error(
    status: int, headers: Mapping[str, str], body: bytes, dialect: Dialect, now: float
) -> UpstreamError:
    """Return what a status other than 200 means for caller and failover. `now` is wall time.

    Call it with a body that went through `Transport.redact`.
    """
    error = _mapped(status, headers, body, dialect, now)
    error.provider_status = status
    return error


def _mapped(
    status: int, headers: Mapping[str, str], body: bytes, dialect: Dialect, now: float
) -> UpstreamError:
    detail = f"the provider answered {status}"
    said = _error_object(body)
    if status in _BUSY:
        wait = parse_retry_after(headers, now)
        busy = UpstreamBusy(
            _BUSY[status],
            status=status,
            body=b"" if said is None else body,
            dialect=dialect,
            detail=detail,
            retry_after=wait,
        )
        return _without_quota(busy) if _is_quota(said) else busy
    if status in (401, 402, 403):
        return UpstreamDenied(_DENIED, detail=detail)
    if status in _REFUSED or (400 <= status < 500 and status != 408 and said is not None):  # noqa: PLR2004 - the 4xx
        refused = UpstreamRefused(
            _REFUSED.get(status, _REFUSED[400]),
            status=status,
            body=b"" if said is None else body,
            dialect=dialect,
            detail=detail,
        )
        if status == 404:  # noqa: PLR2004 - a model that this provider lacks, another may have
            refused.retry = Retry.OTHER
        if status in _CALLERS_FAULT:
            refused.fault = "caller"
        return refused
    if status in (408, 504, 524):
        return timed_out("upstream_timeout", detail)
    return broken("upstream_broken" if status >= 500 else "bad_upstream", detail)  # noqa: PLR2004 - the 5xx


def _error_object(body: bytes) -> dict[str, Any] | None:
    """Return the body as an error object of either dialect, or None."""
    if len(body) > MAX_ERROR_BODY:
        return None
    try:
        tree = wire.decode(body)
    except ValueError:
        return None
    if not isinstance(tree, dict) or ("error" not in tree and tree.get("type") != "error"):
        return None
    return tree


def _is_quota(said: dict[str, Any] | None) -> bool:
    error = (said or {}).get("error")
    return isinstance(error, dict) and "insufficient_quota" in (
        error.get("code"),
        error.get("type"),
    )


def _without_quota(busy: UpstreamBusy) -> UpstreamBusy:
    """Send the caller elsewhere: no wait refills a quota, though it comes as a 429."""
    busy.public = _QUOTA
    busy.code = "upstream_quota"
    busy.retry = Retry.OTHER
    return busy
