"""What can go wrong, where it came from, and whether another try may help.

GatewayError
|- CallerError         the request is at fault; never retried
|  |- BadRequest 400, Unauthenticated 401, Forbidden 403, NotFound 404, UnknownModel 404,
|  |- MethodNotAllowed 405, ClientTooSlow 408, TooLarge 413, UnsupportedMedia 415,
|  |- ExpectationFailed 417, UpgradeRefused 426, HeadersTooLarge 431, CapabilityMissing 400,
|  |- LimitReached 429, DeadlineExceeded 504, NotCached 504
|- UpstreamError       a provider is at fault
|  |- UpstreamTimeout 504 OTHER      no connection, first token or end in time
|  |- UpstreamBusy 429|503|529 SAME  it said "later"; retry_after says when
|  |- UpstreamBroken 502 OTHER       reset, TLS, garbage, 5xx
|  |- UpstreamDenied 502 OTHER       our key was refused: an operator must act
|  |- AllProvidersDown 503 OTHER     nobody was asked: all are left alone for now
|  |- UpstreamRefused 4xx NEVER      it understood and said no; its body is shown as is
|  |- StreamCut 502 NEVER            it died after its first token left for the client
|- GatewayFault        we are at fault
   |- InternalError 500, Overloaded 503, Draining 503, StateUnavailable 503

`str(error)` and `detail` are for logs only; `public` may be shown to callers and never repeats
input.
"""

from enum import Enum
from typing import Final, Literal, Self

Fault = Literal["caller", "upstream", "gateway"]
OUT_OF_TIME: Final = "The request's deadline has passed."


class Retry(Enum):
    """Whether another try may help: never, on the same target after a wait, or on another."""

    NEVER = "never"
    SAME = "same"
    OTHER = "other"


class GatewayError(Exception):
    """One failure with everything that failover, renderer and log need to know about it.

    `status` is the HTTP status for the caller, `code` a stable machine-readable name, `param` the
    path of the parameter at fault (ours, or a caller's that can only be a name), `retry_after`
    seconds to wait before another try.
    """

    fault: Fault = "gateway"
    status: int = 500
    code: str = "internal_error"
    retry: Retry = Retry.NEVER
    held: bool = False
    """Whether it is told again to a request that was not tried; `retry_after` says how long."""

    def __init__(
        self,
        public: str,
        *,
        detail: str = "",
        code: str | None = None,
        status: int | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or public)
        self.public = public
        self.detail = detail
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def again(self) -> Self:
        """Return an equal error to raise, where this one is kept.

        A raised error holds the frames it went through. Where those hold who keeps the error, all
        of it with its buffers would be left to the collector.
        """
        twin = self.__class__.__new__(self.__class__, *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class CallerError(GatewayError):
    """The request is at fault."""

    fault: Fault = "caller"
    status = 400
    code = "invalid_request"


class BadRequest(CallerError):
    """400: the request cannot be understood or asks for something impossible."""


class CapabilityMissing(CallerError):
    """400: the model cannot do what the request needs; `param` names it."""

    code = "capability_missing"


class Unauthenticated(CallerError):
    """401: no key, or not one of ours."""

    status = 401
    code = "invalid_key"


class Forbidden(CallerError):
    """403: a known caller asks for what it may not have."""

    status = 403
    code = "forbidden"


class NotFound(CallerError):
    """404: no such route."""

    status = 404
    code = "not_found"


class UnknownModel(CallerError):
    """404: no model of that name is served."""

    status = 404
    code = "model_not_found"


class MethodNotAllowed(CallerError):
    """405: the route exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class LimitReached(CallerError):
    """429: a limit is used up. Without `retry_after` no wait of a minute helps.

    `kind` is what OpenAI calls such an error: requests, tokens or insufficient_quota.
    """

    status = 429
    code = "rate_limit_exceeded"
    kind: Literal["requests", "tokens", "insufficient_quota"] = "requests"


class DeadlineExceeded(CallerError):
    """504: the time was over that the caller itself allows, which is nobody's failure."""

    status = 504
    code = "deadline_exceeded"


class ClientTooSlow(CallerError):
    """408: header or body did not arrive in time."""

    status = 408
    code = "request_timeout"


class TooLarge(CallerError):
    """413: the body exceeds the limit."""

    status = 413
    code = "body_too_large"


class UnsupportedMedia(CallerError):
    """415: a content type or encoding we do not read."""

    status = 415
    code = "unsupported_media_type"


class ExpectationFailed(CallerError):
    """417: an Expect header other than 100-continue."""

    status = 417
    code = "expectation_failed"


class UpgradeRefused(CallerError):
    """426: no WebSocket, h2c or tunnel here."""

    status = 426
    code = "upgrade_refused"


class HeadersTooLarge(CallerError):
    """431: too many header bytes."""

    status = 431
    code = "headers_too_large"


class NotCached(CallerError):
    """504, as RFC 9111 says: only a stored answer would do, and there is none."""

    status = 504
    code = "not_cached"


class UpstreamError(GatewayError):
    """A provider failed. `provider_status` is what it answered, 0 when it did not answer.

    `request_id` is the provider's own name for the request, empty when it said none.
    """

    fault: Fault = "upstream"
    status = 502
    code = "upstream_error"
    retry = Retry.OTHER
    provider_status: int = 0
    request_id: str = ""


class UpstreamTimeout(UpstreamError):
    """504: not connected, no first token, or not finished in time."""

    status = 504
    code = "upstream_timeout"


def is_deadline(error: BaseException) -> bool:
    """Tell whether a wait ended with the request's own time, and not because it took too long."""
    if not isinstance(error, UpstreamTimeout) or error.provider_status:
        return False
    return error.code == UpstreamTimeout.code


class UpstreamBroken(UpstreamError):
    """502: refused, reset, TLS failure, 5xx, or an answer that makes no sense."""

    code = "upstream_broken"


class UpstreamDenied(UpstreamError):
    """502: the provider refused our key (401, 402, 403). The operator must act."""

    code = "upstream_denied"


class AllProvidersDown(UpstreamError):
    """503: every target is left alone for now; `retry_after` says until when."""

    status = 503
    code = "all_providers_down"


class UpstreamAnswered(UpstreamError):
    """An upstream error whose own words may be shown: `body` is its JSON, in `dialect`."""

    def __init__(
        self,
        public: str,
        *,
        status: int,
        body: bytes = b"",
        dialect: Literal["openai", "anthropic"] = "openai",
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(public, detail=detail, status=status, retry_after=retry_after)
        self.body = body
        self.dialect = dialect
        self.provider_status = status


class UpstreamBusy(UpstreamAnswered):
    """429, 503 or 529: the provider asks us to come back later."""

    code = "upstream_busy"
    retry = Retry.SAME


class UpstreamRefused(UpstreamAnswered):
    """400, 404, 409, 413, 422: the provider understood and said no."""

    code = "upstream_refused"
    retry = Retry.NEVER


class StreamCut(UpstreamError):
    """The stream broke after its first event had left: nothing to retry, the client is told.

    `body` is the provider's own error object as JSON, empty where it did not say one.
    """

    code = "upstream_truncated"
    retry = Retry.NEVER
    body = b""


class GatewayFault(GatewayError):
    """We are at fault."""


class InternalError(GatewayFault):
    """500: a bug. The text is constant; the log has the rest."""


class Overloaded(GatewayFault):
    """503: too much in flight; come back after `retry_after`."""

    status = 503
    code = "overloaded"


class StateUnavailable(GatewayFault):
    """503: limits, keys or the ledger cannot be written, so nothing may be admitted or changed."""

    status = 503
    code = "storage_unavailable"


class Draining(GatewayFault):
    """503: this process is going away; another one serves."""

    status = 503
    code = "draining"
