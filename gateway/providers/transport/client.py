"""The one door to upstreams: pooled HTTP/1.1 over TLS, with every wait bounded.

A client session of a general HTTP library costs more than all else in a relayed request; this
keeps what a gateway needs of it: no redirects, cookies, proxies or content codings.
"""

import re
import ssl as tls_library
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Final, TypeVar, cast

from msgspec import Meta, Struct

from gateway.core import wire
from gateway.core.errors import BadRequest, UpstreamBroken, UpstreamError
from gateway.core.ports import Runtime
from gateway.providers.transport.connection import RECEIVE, Connection
from gateway.providers.transport.origin import connect, default_tls, parse_origin
from gateway.providers.transport.pool import Pool, PoolStats
from gateway.providers.transport.response import Response
from gateway.providers.transport.upstream_errors import (
    parse_retry_after,
    timed_out,
    upstream_error,
)

__all__ = [
    "PoolStats",
    "Response",
    "Transport",
    "TransportConfig",
    "parse_retry_after",
    "upstream_error",
]

NO_HEADERS: Final[Mapping[str, str]] = {}
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_METHODS: Final = _WITH_BODY | {"GET", "HEAD", "DELETE"}
B = TypeVar("B", bound=bytes)
_PATH: Final = re.compile(r"(?:/[\x21\x22\x24-\x7e]*)?")
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SECRET_NAME: Final = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8
_COPY_BELOW: Final = 64 << 10
_MAX_HEADS: Final = 256

Seconds = Annotated[float, Meta(gt=0, le=3600)]


class TransportConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long to wait for an upstream, and how many connections to it to have."""

    connect: Annotated[Seconds, Meta(description="Name look-up, TCP and TLS together.")] = 2
    first_byte: Annotated[Seconds, Meta(description="Wait for a stream's first byte.")] = 30
    idle: Annotated[Seconds, Meta(description="Longest silence inside a stream.")] = 30
    total_connections: Annotated[
        int, Meta(ge=1, le=100_000, description="Open connections; more requests wait in order.")
    ] = 1000
    idle_connections: Annotated[
        int, Meta(ge=0, le=100_000, description="Connections kept for reuse.")
    ] = 20
    keep_idle: Annotated[Seconds, Meta(description="How long an unused one is kept.")] = 55


DEFAULTS: Final = TransportConfig()
LONGEST_TRIP: Final = 0.5
"""Seconds; a connection that took longer to open met something else than distance."""
KEEP: Final = 10.0
"""Seconds between two looks whether enough connections are warm."""


class Transport:
    """Connections to one origin. `headers` go with every request; their secrets live only here.

    No text of a caller reaches a request's target or header names. `base_url` and `headers` are
    checked once; ValueError says what is wrong with them.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        runtime: Runtime,
        config: TransportConfig = DEFAULTS,
        *,
        ssl: tls_library.SSLContext | None = None,
    ) -> None:
        self._origin = parse_origin(base_url)
        self._tls = (ssl or default_tls()) if self._origin.secure else None
        self._clock = runtime.clock
        self._config = config
        self._constant = _constant_lines(self._origin.authority, headers)
        self._newest = self._secrets = _secrets(headers)
        self._heads: dict[tuple[str, str], bytes] = {}
        self._receive = memoryview(bytearray(RECEIVE))
        self._pool = Pool(
            self._connect,
            self._clock,
            total=config.total_connections,
            idle=config.idle_connections,
            keep_idle=config.keep_idle,
        )

    def send_from_now_on(self, headers: Mapping[str, str]) -> None:
        """Replace the headers that go with every request. Raises ValueError as at first.

        The secrets of those before are masked on: requests with them may be under way.
        """
        self._constant = _constant_lines(self._origin.authority, headers)
        self._heads.clear()
        before, self._newest = self._newest, _secrets(headers)
        self._secrets = tuple(sorted({*before, *self._newest}, key=len, reverse=True))

    @property
    def stats(self) -> PoolStats:
        """Connections opened, reused, in use and idle."""
        return self._pool.stats

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        deadline: float,
        first_byte: float | None = None,
    ) -> Response:
        """Send a request and return its response as soon as its head is in.

        `path` is put after the base URL's. `first_byte` seconds bound the wait for the head (None:
        only `deadline` does, a `Clock.monotonic` time that also bounds the body). The response
        must be read to its end or closed. Raises UpstreamTimeout, UpstreamBroken or, for a header
        value that cannot be sent, BadRequest.
        """
        request = self._encode(method, path, body, headers)
        if deadline <= self._clock.monotonic():
            raise timed_out("upstream_timeout", "no time was left")
        pool, idle = self._pool, self._config.idle
        connection = pool.take_idle() or await pool.take(deadline)
        while True:
            connection.begin(request, bodiless=method == "HEAD")
            due, late = deadline, "upstream_timeout"
            if first_byte is not None and (limit := self._clock.monotonic() + first_byte) < due:
                due, late = limit, "upstream_first_byte_timeout"
            try:
                while (message := connection.message) is None:
                    await connection.wait(due, late)
            except BaseException as error:
                if not (connection.was_stale and isinstance(error, UpstreamBroken)):
                    pool.release(connection, clean=False)
                    raise
                connection = await pool.replace(connection, deadline)
            else:
                give_back, clock = pool.release, self._clock
                return Response(connection, message, give_back, clock, deadline=deadline, idle=idle)

    async def warm(self, connections: int) -> None:
        """Open connections until so many are idle. Raises UpstreamError."""
        await self._pool.warm(connections, self._clock.monotonic() + self._config.connect)

    async def keep_warm(self, connections: int) -> None:
        """Open what was closed since, again and again until cancelled."""
        while True:
            await self._clock.sleep(KEEP)
            with suppress(UpstreamError):  # whoever asks next is told what is wrong
                await self.warm(connections - self.stats.in_use)

    def redact(self, body: bytes) -> bytes:
        """Return an upstream's words without our own secrets, should it repeat them.

        JSON that spells a secret with escapes is written anew, and masked then.
        """
        masked = self.mask(body)
        if b"\\" in masked:
            try:
                plain = wire.encode(wire.decode(masked))
            except ValueError:
                return masked
            if self.mask(plain) != plain:
                return self.mask(plain)
        return masked

    def reveals(self, text: str) -> bool:
        """Return whether a secret of ours stands in an upstream's words."""
        words = text.encode()
        return self.mask(words) != words

    def mask(self, text: B) -> B:
        """Return an upstream's words without our own secrets, where they are spelt as they are."""
        for secret in self._secrets:
            if text.find(secret) >= 0:  # three times as fast as `in`, which first tries a number
                text = cast("B", text.replace(secret, b"***"))
        return text

    def target(self, path: str) -> str:
        """Return where `path` is asked for, for people."""
        return f"{self._origin.authority}{self._origin.path}{path}"

    async def aclose(self) -> None:
        """Close every connection; requests in flight fail."""
        await self._pool.aclose()

    async def _connect(self, deadline: float) -> Connection:
        started = self._clock.monotonic()
        seconds = min(self._config.connect, max(0.0, deadline - started))
        make, clock = self._new_connection, self._clock
        connection = await connect(self._origin, self._tls, make, clock, seconds)
        connection.round_trip = min(clock.monotonic() - started, LONGEST_TRIP)
        return connection

    def _new_connection(self) -> Connection:
        return Connection(self._clock, self._receive, self._pool.lost)

    def _encode(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Sequence[bytes]:
        """Return the request's bytes: one piece, or two where a copy of the body would be dear."""
        head = self._heads.get((method, path)) or self._new_head(method, path)
        if headers:
            head += _lines(headers)
        if body or method in _WITH_BODY:
            head += b"content-length: %d\r\n\r\n" % len(body)
        else:
            head += b"\r\n"
        return (head + body,) if len(body) < _COPY_BELOW else (head, body)

    def _new_head(self, method: str, path: str) -> bytes:
        if method not in _METHODS:
            raise ValueError("not a method that upstreams are asked with")
        if not _PATH.fullmatch(path):
            raise ValueError("not a path that can be put after the base URL")
        target = (self._origin.path + path) or "/"
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        head = f"{method} {target} HTTP/1.1\r\n".encode() + self._constant
        self._heads[method, path] = head
        return head


def misfits(base_url: str, headers: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what a Transport would raise ValueError for: the setting, and what is wrong with it."""
    try:
        parse_origin(base_url)
    except ValueError as error:
        yield ("base_url",), f"{error}."
    for name, value in headers.items():
        try:
            _constant_lines("", {name: value})
        except ValueError as error:
            yield ("headers", name), f"{error}."


def _constant_lines(authority: str, headers: Mapping[str, str]) -> bytes:
    given = {name.lower(): value for name, value in headers.items()}
    for name, value in given.items():
        if not _NAME.fullmatch(name) or name in _OURS:
            raise ValueError(f"{name!r} is not a header that can be set here")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name!r} has characters other than visible ASCII")
    own = {"host": authority, "accept-encoding": "identity"}
    usual = {"content-type": "application/json", "user-agent": "turnout"}
    everything = {**own, **usual, **given}
    return "".join(f"{name}: {value}\r\n" for name, value in everything.items()).encode()


def _lines(headers: Mapping[str, str]) -> bytes:
    lines = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"{name!r} is not a header that can be set here")
        if not _VALUE.fullmatch(value):
            raise BadRequest(
                f"The header '{name}' has characters other than visible ASCII.", param=name
            )
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode()


def _secrets(headers: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return all that must never be shown, longest first: values, bare tokens, JSON spellings."""
    found = set()
    for name, value in headers.items():
        if _SECRET_NAME.search(name):
            token = value.rpartition(" ")[2]
            found |= {value, token, value.replace("/", "\\/"), token.replace("/", "\\/")}
    kept = [secret.encode() for secret in found if len(secret) >= _SHORTEST_SECRET]
    return tuple(sorted(kept, key=len, reverse=True))
