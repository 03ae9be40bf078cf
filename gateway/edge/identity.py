"""Who is calling: the one place that reads credentials."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import inf
from typing import Final, Protocol, TypeAlias
from urllib.parse import unquote_plus

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.errors import BadRequest, CallerError, Forbidden, Unauthenticated
from gateway.core.exchange import Caller
from gateway.core.keys import KIND, digest_of, mark_of
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey

STRANGER: Final = Caller(tenant="")
_LOCAL: Final = Caller()
_RECHECKED: Final = 1.0
"""Seconds for which a key that expires is let in unseen, should the clocks be set meanwhile."""
_KEY_NAMES: Final = frozenset(
    {"key", "api_key", "api-key", "apikey", "x-api-key", "token", "access_token", "authorization"}
)
_BAD_TRIES: Final = 20
_WINDOW: Final = 60.0
_MAX_ADDRESSES: Final = 4096
_REMEMBERED: Final = 4096
_NONE: Final[list[str]] = []
_PORT: Final = re.compile(r":[0-9]*\Z")
_AS_KEY: Final = "\n"
"""Before a remembered x-api-key: no header's text can begin so."""

Network: TypeAlias = IPv4Network | IPv6Network


class Headers(Protocol):
    """Request headers; names in any case."""

    def getall(self, key: str, default: list[str], /) -> list[str]: ...


class TooManyBadKeys(CallerError):
    """429: this address has tried too many wrong keys; a right one still works."""

    status = 429
    code = "too_many_bad_keys"


class _Tries(Struct):
    since: float
    count: int = 0


class _Pass(Struct, frozen=True):
    """A right key: its digest, whose it is, until when, and from where (everywhere if empty)."""

    digest: str
    caller: Caller
    expires: float = inf
    networks: tuple[Network, ...] = ()


_NOTHING: Final = _Pass("", STRANGER, expires=-inf)


class Identity:
    """The keys and whose they are: those of gateway.yaml, and the issued ones of the store.

    While there is no key of either kind, nor was one ever issued, everybody is the tenant `local`,
    unless `required`.
    """

    def __init__(
        self,
        keys: Mapping[str, Secret],
        pepper: bytes = b"",
        *,
        epoch: Callable[[], float] = float,
        required: bool = False,
    ) -> None:
        """`pepper` is what issued keys are kept with, `epoch` the time that they expire by."""
        self._keys = [(tenant, _digest(key.reveal())) for tenant, key in keys.items()]
        self._pepper = pepper
        self._epoch = epoch
        self._open = not keys and not required
        self._issued: Mapping[str, IssuedKey] = {}
        self._good: frozenset[str] = frozenset()
        self._followers: list[Callable[[], None]] = []
        self._callers: Mapping[str, Caller] = {}
        self._closed = True
        self._known: dict[str, _Pass] = {}
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        # Headers that held a right key, by their text, and until when they need no second look:
        # a digest is a tenth of a request's work.
        self._recent: dict[str, tuple[Caller, float]] = {}

    def know(self, issued: Sequence[IssuedKey]) -> None:
        """Go by this table of issued keys from now on."""
        self._issued = {key.digest: key for key in issued if key.revoked is None}
        self._good = frozenset(key.id for key in self._issued.values())
        self._open = self._open and not issued
        self._admit(self._callers, closed=self._closed)
        for callback in self._followers:
            callback()

    def follow(self, callback: Callable[[], None]) -> None:
        """Call back whenever the table of issued keys has changed."""
        self._followers.append(callback)

    def admits(self, caller: Caller) -> bool:
        """Tell whether the key that somebody came with has not been revoked; it may be over."""
        return not caller.key or caller.key in self._good

    def foreign(self) -> int:
        """Return how many good keys were made with another pepper, so that all are wrong here."""
        ours = {"", mark_of(self._pepper)}
        return sum(key.pepper not in ours for key in self._issued.values())

    def identify(
        self,
        headers: Headers,
        query: str,
        address: str,
        now: float,
        callers: Mapping[str, Caller],
        *,
        closed: bool = True,
    ) -> Caller:
        """Return the caller. Raises BadRequest, Unauthenticated or TooManyBadKeys.

        `query` is the raw query string, `address` the peer's, `now` a monotonic time, `callers`
        the tenants that there are at this moment. Unless they are a `closed` company, an issued
        key may name another tenant, which is then a plain one.
        """
        if query:
            _check_query(query)
        if callers is not self._callers:
            self._admit(callers, closed=closed)
        bearers, keys = headers.getall("authorization", _NONE), headers.getall("x-api-key", _NONE)
        sent = ""
        if len(bearers) + len(keys) == 1:
            sent = bearers[0] if bearers else _AS_KEY + keys[0]
            recent = self._recent.get(sent)
            if recent is not None and now < recent[1]:
                return recent[0]
        key = _credential(bearers, keys)
        if self._open:
            check_host(headers.getall("host", _NONE))
            return callers[_LOCAL.tenant]
        if not key:
            raise Unauthenticated(
                "No API key given. Send 'Authorization: Bearer <key>' or 'x-api-key: <key>'.",
                code="missing_key",
            )
        digest, found = self._find(key)
        left = found.expires - self._epoch()
        if left <= 0 or not _within(address, found.networks):
            raise self._refusal(address, now, digest[:8])
        if sent and not found.networks:
            self._remember(sent, found.caller, now, left)
        return found.caller

    def _find(self, key: str) -> tuple[str, _Pass]:
        """Return the digest of a key, and what it opens."""
        digest = _digest(key)
        found = self._known.get(digest)
        if found is None and key.startswith(KIND):
            digest = digest_of(key, self._pepper)
            found = self._known.get(digest) or self._take_in(digest)
        if found is None or not compare_digest(found.digest, digest):
            return digest, _NOTHING
        return digest, found

    def _take_in(self, digest: str) -> _Pass | None:
        """Return what an issued key opens, made when it is first sent: a table may hold many."""
        key = self._issued.get(digest)
        if key is None:
            return None
        home = self._callers.get(key.tenant)
        if home is None and not self._closed:
            home = Caller(tenant=key.tenant)
        if home is not None:
            with suppress(ValueError):  # networks that nobody can read let nobody in
                self._known[digest] = _pass(key, home)
        return self._known.get(digest)

    def _remember(self, header: str, caller: Caller, now: float, left: float) -> None:
        """Let this header in without another look, for good or a moment at a time."""
        if header in self._recent or len(self._recent) < _REMEMBERED:
            until = inf if left == inf else now + min(left, _RECHECKED)
            self._recent[header] = caller, until

    def _admit(self, callers: Mapping[str, Caller], *, closed: bool) -> None:
        """Let in the keys of these tenants and no others. Once a change, not once a request."""
        self._callers, self._closed = callers, closed
        self._recent.clear()
        self._known = {
            digest: _Pass(digest, replace(callers[tenant], fingerprint=digest[:8]))
            for tenant, digest in self._keys
            if tenant in callers
        }

    def _refusal(self, address: str, now: float, fingerprint: str) -> CallerError:
        """Count a wrong key against its sender, in a table that forgets the oldest senders."""
        sender = _network(address)
        tries = self._tries.get(sender)
        if tries is None or now - tries.since >= _WINDOW:
            self._tries.pop(sender, None)
            tries = self._tries[sender] = _Tries(now)
            if len(self._tries) > _MAX_ADDRESSES:
                self._tries.popitem(last=False)
        tries.count += 1
        detail = f"key {fingerprint}"
        if tries.count > _BAD_TRIES:
            return TooManyBadKeys(
                "Too many wrong API keys from this address. Try again later.",
                detail=detail,
                retry_after=_WINDOW - (now - tries.since),
            )
        return wrong_key(detail)


def check_host(hosts: Sequence[str]) -> None:
    """Refuse who did not ask for this machine by a name of its own. Raises Forbidden.

    Where no key is asked for, a web page whose name was made to lead here could ask in its name.
    """
    if hosts and not _is_local(hosts[0]):
        raise Forbidden(
            "Without keys only this machine's own names are served: use http://127.0.0.1 or"
            " http://localhost, or configure keys.",
            code="foreign_host",
        )


@lru_cache(maxsize=64)
def _is_local(host: str) -> bool:
    name = host.rpartition(":")[0] if _PORT.search(host) else host
    name = name.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def wrong_key(detail: str = "") -> Unauthenticated:
    """Return the one error for keys that are wrong, revoked or over, or come from elsewhere."""
    return Unauthenticated("This API key is not valid.", detail=detail)


def _credential(bearers: Sequence[str], keys: Sequence[str]) -> str:
    """Return the one key that was sent, empty when there is none."""
    if not keys and len(bearers) == 1:
        return _bearer(bearers[0])
    if not bearers and len(keys) == 1:
        return keys[0].strip()
    if not bearers and not keys:
        return ""
    if len(bearers) > 1 or len(keys) > 1 or _bearer(bearers[0]) != keys[0].strip():
        raise BadRequest("Send exactly one API key, in one header.", code="duplicate_credential")
    return keys[0].strip()


def _bearer(value: str) -> str:
    scheme, _, key = value.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _pass(key: IssuedKey, home: Caller) -> _Pass:
    caller = replace(
        home,
        fingerprint=key.digest[:8],
        labels={**home.labels, **key.labels} if key.labels else home.labels,
        key=key.id,
    )
    expires = inf if key.expires is None else key.expires
    return _Pass(key.digest, caller, expires, tuple(map(ip_network, key.networks)))


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether a peer is in one of these networks; who has no address is in none."""
    if not networks:
        return True
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return any(parsed in network for network in networks)


def _check_query(query: str) -> None:
    names = (part.partition("=")[0] for part in query.split("&"))
    if any(unquote_plus(name).lower() in _KEY_NAMES for name in names):
        raise Unauthenticated(
            "Send the key in the Authorization or x-api-key header, never in the URL.",
            code="key_in_url",
        )


def _network(address: str) -> str:
    """Return what one sender holds: an IPv4 address, or an IPv6 /64."""
    try:
        parsed = ip_address(address.partition("%")[0])  # without the interface's name
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return parsed.exploded[:19]
    return str(parsed)
