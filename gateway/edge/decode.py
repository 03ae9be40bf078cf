"""From HTTP to a request: what a stranger sends is checked before it costs anything."""

import asyncio
import re
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from aiohttp.streams import StreamReader

from gateway.core.chat import ChatRequest, Endpoint, parse_request
from gateway.core.errors import (
    BadRequest,
    CallerError,
    ExpectationFailed,
    Overloaded,
    TooLarge,
    UnsupportedMedia,
    UpgradeRefused,
)
from gateway.core.known import KnownRequests
from gateway.edge.connection import Head
from gateway.edge.unreadable import BadFraming
from gateway.edge.visit import Visit
from gateway.settings import Limits

LARGE: Final = 256 << 10
"""Bodies above this are parsed in a worker thread."""
FORBIDDEN: Final = frozenset(
    {
        "api_base",
        "api_key",
        "api_type",
        "api_version",
        "aws_access_key_id",
        "aws_secret_access_key",
        "azure_endpoint",
        "base_url",
        "custom_host",
        "custom_llm_provider",
        "default_headers",
        "extra_headers",
        "headers",
        "host",
        "organization",
        "proxy",
        "proxies",
        "vertex_credentials",
        "x-turnout-api-base",
    }
)
"""Fields by which other gateways let a caller choose host or key. Here nobody may."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_STEP: Final = 256 << 10
"""Bytes to unpack at a time. Each time the interpreter has to be waited for again."""
_MAX_DEFLATION: Final = 1032
"""No deflated byte stands for more plain ones."""
_HARMLESS: Final = 1 << 20
_MOST_TIMES: Final = 300
"""Texts shrink to a tenth; what shrinks further than to so many parts is sent to keep us busy."""
_DECODED_AT_ONCE: Final = 2
_DIGITS: Final = re.compile(r"[0-9]{1,18}\Z")
_DOLLARS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,20})?\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")
_BETA: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_MAX_BETAS: Final = 32
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_HTTP: Final = {(1, 0), (1, 1)}
_NONE: Final[Mapping[str, str]] = {}


def check_head(head: Head) -> tuple[str, str]:
    """Return path and query. Refuses what no client of ours needs and proxies disagree about."""
    headers, target, version = head.headers, head.path, head.version
    coding = headers.get("transfer-encoding")
    if coding is not None and (coding.lower() != "chunked" or version < (1, 1)):
        raise BadFraming("This transfer encoding is not accepted.")
    if version not in _HTTP:
        raise BadFraming("The request is not valid HTTP/1.1.")
    if not target.startswith("/") or "#" in target:
        raise BadRequest("The request target must be a path.", code="bad_target")
    if "upgrade" in headers:
        raise UpgradeRefused("This server speaks HTTP/1.1 only; there is nothing to upgrade to.")
    path, _, query = target.partition("?")
    return path, query


class Bodies:
    """All request bodies held at this moment, which together have a limit."""

    def __init__(self, limits: Limits, known: KnownRequests) -> None:
        self.known = known
        self._limit = limits.bodies_in_flight
        self.largest = limits.body
        """Bytes that one body may have, as sent and decompressed."""
        self.held = 0
        self.decoding = asyncio.Semaphore(_DECODED_AT_ONCE)
        """What decodes a large body holds it, since it needs some times its size meanwhile."""

    def take(self, visit: Visit, size: int) -> None:
        """Count bytes against this visit until it ends. Raises Overloaded."""
        if self.held + size > self._limit:
            raise Overloaded("Too much is being uploaded at once. Try again soon.", retry_after=1)
        self.held += size
        visit.held += size

    def release(self, visit: Visit) -> None:
        """Forget what the visit held."""
        self.held -= visit.held
        visit.held = 0


async def read_request(
    visit: Visit,
    head: Head,
    content: StreamReader,
    endpoint: Endpoint,
    bodies: Bodies,
) -> ChatRequest:
    """Read and decode the body. Raises CallerError or Overloaded."""
    headers = head.headers
    _check_type(headers.get("content-type"))
    coding = (headers.get("content-encoding") or "identity").lower()
    if coding not in {"identity", "gzip", "deflate"}:
        raise UnsupportedMedia("Send the body plain or with gzip or deflate.")
    betas, version = _betas(headers.getall("anthropic-beta", [])), _version(head)
    length = headers.get("content-length")
    if length is not None and int(length) > bodies.largest:
        raise _too_large()
    _check_expectation(headers.get("expect"))
    if content.is_eof():
        body = content.read_nowait()
        if len(body) > bodies.largest:
            raise _too_large()
        bodies.take(visit, len(body))
    else:
        body = await _read_body(visit, head, content, bodies)
    visit.received = len(body)
    if coding != "identity":
        body = await _plain(visit, body, coding, bodies)
    if len(body) > LARGE:
        bodies.take(visit, len(body))  # for its texts, which are held beside its bytes
        async with bodies.decoding:
            parsed = await asyncio.to_thread(
                parse_request, endpoint, body, betas=betas, version=version
            )
    else:
        known = bodies.known.find(visit.caller.tenant, endpoint, body, betas, version)
        parsed = known or parse_request(endpoint, body, betas=betas, version=version)
    if not FORBIDDEN.isdisjoint(parsed.fields):
        name = min(FORBIDDEN.intersection(parsed.fields))
        raise BadRequest(
            f"'{name}' is not accepted: the gateway's configuration decides it.",
            code="unknown_parameter",
            param=name,
        )
    return parsed


def seconds_allowed(head: Head, limit: float) -> float:
    """Return how long this request may take: the limit, or less if the caller says so."""
    wanted = head.headers.get("x-turnout-deadline-ms")
    if wanted is None:
        return limit
    _refuse_second(head, "x-turnout-deadline-ms")
    if not _DIGITS.match(wanted) or int(wanted) == 0:
        raise BadRequest(
            "'x-turnout-deadline-ms' must be a whole number of milliseconds above 0.",
            param="x-turnout-deadline-ms",
        )
    return min(limit, int(wanted) / 1000)


def cost_allowed(head: Head) -> int | None:
    """Return the micro-dollars that the answer may cost, None when the caller does not say."""
    wanted = head.headers.get("x-turnout-max-cost")
    if wanted is None:
        return None
    _refuse_second(head, "x-turnout-max-cost")
    if not _DOLLARS.match(wanted):
        raise BadRequest(
            "'x-turnout-max-cost' must be dollars, such as 0.05.", param="x-turnout-max-cost"
        )
    return int(Decimal(wanted) * 1_000_000)


def may_drop_params(head: Head) -> bool:
    """Return whether parameters that a target cannot take may be dropped."""
    wanted = head.headers.get("x-turnout-drop-params")
    if wanted is None:
        return False
    _refuse_second(head, "x-turnout-drop-params")
    if wanted.lower() not in {"true", "false"}:
        raise BadRequest(
            "'x-turnout-drop-params' must be true or false.", param="x-turnout-drop-params"
        )
    return wanted.lower() == "true"


def _refuse_second(head: Head, name: str) -> None:
    """Refuse a header that comes twice: a proxy in front may have read the other one."""
    if len(head.headers.getall(name)) > 1:
        raise BadRequest(f"'{name}' must be sent once.", param=name)


def named_headers(head: Head, names: tuple[str, ...]) -> Mapping[str, str]:
    """Return those of the headers in `names` that were sent; a repeated one is joined by `, `."""
    if not names:
        return _NONE
    headers = head.headers
    return {name: ", ".join(headers.getall(name)) for name in names if name in headers}


def retry_count(head: Head) -> int:
    """Return which retry of its SDK this is, 0 for a first try."""
    count = head.headers.get("x-stainless-retry-count")
    return int(count) if count is not None and _NUMBER.match(count) else 0


def _check_expectation(expect: str | None) -> None:
    if expect is not None and expect.lower() != "100-continue":
        raise ExpectationFailed("Only 'Expect: 100-continue' is understood.")


async def _read_body(visit: Visit, head: Head, content: StreamReader, bodies: Bodies) -> bytes:
    if "expect" in head.headers and head.version >= (1, 1):
        visit.write(_CONTINUE)
    visit.connection.expect_body()
    # One growing block: thousands of small ones would leave holes that are never given back.
    whole = bytearray()
    while part := await _next_part(content):
        if len(whole) + len(part) > bodies.largest:
            raise _too_large()
        bodies.take(visit, len(part))
        whole += part
    visit.connection.alarm.off()
    return bytes(whole)


async def _next_part(content: StreamReader) -> bytes:
    try:
        return await content.readany()
    except CallerError as error:
        error.__traceback__ = None  # its frames hold the reader, which keeps it
        raise error.again() from None


async def _plain(visit: Visit, body: bytes, coding: str, bodies: Bodies) -> bytes:
    """Return the body decompressed. A bomb is found before its content is ever held."""
    window = _window(body, coding)
    most = bodies.largest if coding == "deflate" else _claimed_size(body, bodies.largest)
    size = await asyncio.to_thread(_plain_size, body, window, most)
    if size > most:
        raise _too_large() if size > bodies.largest else _bad_compression()
    bodies.take(visit, size)
    return await asyncio.to_thread(zlib.decompress, body, window)


def _window(body: bytes, coding: str) -> int:
    if coding == "gzip":
        return 16 + zlib.MAX_WBITS
    zlib_header = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and not body[1] & 0x20
    return zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS


def _claimed_size(body: bytes, limit: int) -> int:
    """Return the plain size that gzip ends with. An honest bomb is refused by it at once."""
    claimed = int.from_bytes(body[-4:], "little")
    if claimed > len(body) * _MAX_DEFLATION:
        raise _bad_compression()
    if claimed > limit:
        raise _too_large()
    return claimed


def _plain_size(body: bytes, window: int, limit: int) -> int:
    """Return the decompressed size, or a size above the limit as soon as it is passed."""
    stream = zlib.decompressobj(window)
    size, rest = 0, body
    try:
        while not stream.eof and size <= limit:
            piece = stream.decompress(rest, min(_STEP, limit - size + 1))
            rest = stream.unconsumed_tail
            size += len(piece)
            if size > _HARMLESS and size > _MOST_TIMES * (len(body) - len(rest)):
                raise TooLarge(f"The body is over {_MOST_TIMES} times its size. Send it plain.")
            if not piece and not rest:
                break
    except zlib.error as error:
        raise _bad_compression() from error
    if size <= limit and (not stream.eof or stream.unused_data):
        raise _bad_compression()
    return size


def _check_type(content_type: str | None) -> None:
    if content_type is None or content_type == "application/json":
        return
    kind, _, parameters = content_type.lower().partition(";")
    charset = parameters.partition("charset=")[2].strip('" ') or "utf-8"
    if kind.strip() != "application/json" or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMedia("Send the body as application/json.")


def _betas(values: list[str]) -> tuple[str, ...]:
    if not values:
        return ()
    betas = tuple(b for value in values for b in map(str.strip, value.split(",")) if b)
    if len(betas) > _MAX_BETAS or not all(map(_BETA.match, betas)):
        raise BadRequest("'anthropic-beta' must be a list of names.", param="anthropic-beta")
    return betas


def _version(head: Head) -> str:
    version = head.headers.get("anthropic-version", "")
    if version and not _VERSION.match(version):
        raise BadRequest(
            "'anthropic-version' must be a date such as 2023-06-01.", param="anthropic-version"
        )
    return version


def _too_large() -> TooLarge:
    return TooLarge("The request's body is too large.")


def _bad_compression() -> BadRequest:
    return BadRequest("The body's compression cannot be read.", code="bad_encoding")
