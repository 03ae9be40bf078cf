"""What a connection says in place of an answer to a request: there is none that can be served."""

from typing import Final

from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from gateway.core.errors import BadRequest, CallerError, HeadersTooLarge

_TOO_MANY: Final = ("Too many headers received",)
"""How the parser says it: there is no exception of its own for it."""
_FULL_BODY: Final = (
    b'{"error":{"message":"Too many connections. Try again soon.","type":"server_error",'
    b'"param":null,"code":"overloaded","request_id":null}}'
)
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_FULL_BODY), _FULL_BODY)
)
"""The whole answer to a connection that is one too many."""


class BadFraming(BadRequest):
    """400: where this request ends is not certain, so nothing after it is read."""

    code = "bad_http"


def too_large() -> HeadersTooLarge:
    """Return what is wrong with headers over the limit."""
    return HeadersTooLarge("The request's headers are too large.")


def caller_error(error: HttpProcessingError) -> CallerError:
    """Return the constant text for a parser's complaint, which would repeat the input."""
    if isinstance(error, LineTooLong):
        return HeadersTooLarge("The request line or a header is too long.", detail="line too long")
    if error.args == _TOO_MANY:
        return HeadersTooLarge("The request has too many headers.", detail="too many headers")
    return BadFraming("The request is not valid HTTP/1.1.", detail=type(error).__name__)
