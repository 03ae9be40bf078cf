"""Where requests go: one validated base URL, and how a connection to it is made."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.core.ports import Clock
from gateway.providers.transport.connection import Connection
from gateway.providers.transport.upstream_errors import broken, timed_out

_CERTIFICATES: Final = {
    10: "upstream_certificate_expired",
    62: "upstream_certificate_name",
    64: "upstream_certificate_name",
}
"""By OpenSSL's verify codes: out of date, for another host name, for another address."""

_URL: Final = re.compile(r"[\x21-\x7e]+")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_PORTS: Final = {"http": 80, "https": 443}


class Origin(Struct, frozen=True):
    """A scheme, host and port, and the path below which everything is asked for."""

    host: str
    port: int
    path: str
    secure: bool

    @property
    def authority(self) -> str:
        """The value of the host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = _PORTS["https" if self.secure else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


def parse_origin(base_url: str) -> Origin:
    """Return the origin of a base URL. Raises ValueError, which never repeats it."""
    if not _URL.fullmatch(base_url):
        raise ValueError("a base URL has only visible ASCII characters")
    parts = urlsplit(base_url)
    if parts.scheme not in _PORTS:
        raise ValueError("a base URL starts with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a base URL has no user name or password: put keys into the settings")
    if "?" in base_url or "#" in base_url:
        raise ValueError("a base URL has no query and no fragment")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise ValueError("a base URL names a host")
    return Origin(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        path=parts.path.rstrip("/"),
        secure=parts.scheme == "https",
    )


@cache
def default_tls() -> ssl.SSLContext:
    """Return the shared context: the system's authorities, host names checked, TLS 1.2 or later."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(
    origin: Origin,
    tls: ssl.SSLContext | None,
    make: Callable[[], Connection],
    clock: Clock,
    seconds: float,
) -> Connection:
    """Resolve, connect and shake hands within `seconds`. Raises UpstreamError."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: this is a coroutine
    cancelling, late = task.cancelling(), False

    def expire() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = clock.after(seconds, expire)
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            make,
            origin.host,
            origin.port,
            ssl=tls,
            server_hostname=origin.host if tls else None,
        )
    except asyncio.CancelledError:
        if late and task.uncancel() <= cancelling:
            raise timed_out("upstream_connect_timeout") from None
        raise
    except OSError as error:
        raise broken(_why(error, secure=tls is not None), repr(error)) from error
    finally:
        timer.cancel()
    return connection


def _why(error: OSError, *, secure: bool) -> str:
    if isinstance(error, socket.gaierror):
        return "upstream_dns"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, "upstream_tls")
    # A handshake that the other side breaks off comes as a reset or an abort.
    broken_off = isinstance(error, ConnectionResetError | ConnectionAbortedError)
    if isinstance(error, ssl.SSLError) or (secure and broken_off):
        return "upstream_tls"
    return "upstream_refused_connection"
