"""One renderer for every error, in either dialect. It never repeats what a caller sent."""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from gateway.core import wire
from gateway.core.chat import Dialect
from gateway.core.errors import (
    Forbidden,
    GatewayError,
    LimitReached,
    NotCached,
    StreamCut,
    Unauthenticated,
    UpstreamAnswered,
    UpstreamDenied,
    UpstreamError,
)
from gateway.core.reply import Block
from gateway.core.sse import encode_event

_MAX_WAIT: Final = 60.0
_MAX_MESSAGE: Final = 2000
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_OVERLOADED: Final = 529
_OPENAI_TYPES: Final[Mapping[int, str]] = {
    402: "insufficient_quota",
    403: "permission_error",
    429: "requests",
}
_ANTHROPIC_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def status_of(error: GatewayError, dialect: Dialect) -> int:
    """Return the HTTP status: "overloaded" is 503 to OpenAI callers and 529 to Anthropic ones."""
    if error.status in {_UNAVAILABLE, _OVERLOADED}:
        return _OVERLOADED if dialect == "anthropic" else _UNAVAILABLE
    return error.status


def error_body(error: GatewayError, dialect: Dialect, request_id: str) -> bytes:
    """Return the JSON body. A provider's own words pass as they are when it speaks the dialect."""
    message = error.public
    if isinstance(error, UpstreamAnswered) and error.body:
        if error.dialect == dialect:
            return error.body
        message = _provider_message(error.body) or message
    return wire.encode(_shape(error, dialect, message, request_id))


def error_event(error: GatewayError, dialect: Dialect, request_id: str, delivered: int) -> Block:
    """Return the one event that tells a stream's caller that it broke behind `delivered` tokens."""
    message = error.public
    if isinstance(error, StreamCut) and error.body:
        message = _provider_message(error.body) or message
    whole = _shape(error, dialect, message, request_id)
    whole["error"]["delivered_tokens"] = delivered
    body = wire.encode(whole)
    return encode_event(body, "error" if dialect == "anthropic" else "")


def retry_headers(error: GatewayError, attempts: int) -> str:
    """Return the header lines that tell an SDK when, or whether, to try again."""
    if _useless_to_retry(error):
        return "x-should-retry: false\r\n"
    if error.retry_after is not None:
        wait = min(_MAX_WAIT, max(0.0, error.retry_after))
        when = f"retry-after: {ceil(wait)}\r\nretry-after-ms: {ceil(wait * 1000)}\r\n"
        return f"{when}x-should-retry: false\r\n" if error.held else when
    if isinstance(error, UpstreamError) and attempts > 1:
        return "x-should-retry: false\r\n"
    return ""


def _useless_to_retry(error: GatewayError) -> bool:
    if isinstance(error, UpstreamAnswered):
        return b'"insufficient_quota"' in error.body or b'"billing_error"' in error.body
    if isinstance(error, LimitReached):
        return error.retry_after is None
    return isinstance(error, (Unauthenticated, Forbidden, NotCached, UpstreamDenied))


def _shape(error: GatewayError, dialect: Dialect, message: str, request_id: str) -> dict[str, Any]:
    status = status_of(error, dialect)
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, _default(status, "api_error"))
        return {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": request_id,
        }
    return {
        "error": {
            "message": message,
            "type": _openai_type(error, status),
            "param": error.param,
            "code": error.code,
            "request_id": request_id,
        }
    }


def _openai_type(error: GatewayError, status: int) -> str:
    if isinstance(error, LimitReached):
        return error.kind
    return _OPENAI_TYPES.get(status, _default(status, "server_error"))


def _default(status: int, server: str) -> str:
    return server if status >= _SERVER_ERROR else "invalid_request_error"


def _provider_message(body: bytes) -> str:
    """Return the message of an error body; both dialects keep it in the same place."""
    try:
        whole = wire.decode(body)
    except ValueError:
        return ""
    error = whole.get("error") if isinstance(whole, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message[:_MAX_MESSAGE] if isinstance(message, str) else ""
