"""Who is calling: the one place that reads credentials."""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol
from urllib.parse import unquote_plus

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.errors import BadRequest, CallerError, Unauthenticated
from gateway.core.exchange import Caller
from gateway.core.secret import Secret

STRANGER: Final = Caller(tenant="")
_LOCAL: Final = Caller()
_NOBODY: Final = bytes(32)
_KEY_NAMES: Final = frozenset(
    {"key", "api_key", "api-key", "apikey", "x-api-key", "token", "access_token", "authorization"}
)
_BAD_TRIES: Final = 20
_WINDOW: Final = 60.0
_MAX_ADDRESSES: Final = 4096
_REMEMBERED: Final = 4096
_NONE: Final[list[str]] = []


class Headers(Protocol):
    """Request headers; names in any case."""

    def getall(self, key: str, default: list[str], /) -> list[str]: ...
    def __contains__(self, key: object, /) -> bool: ...


class TooManyBadKeys(CallerError):
    """429: this address has tried too many wrong keys; a right one still works."""

    status = 429
    code = "too_many_bad_keys"


class _Tries(Struct):
    since: float
    count: int = 0


class Identity:
    """The keys and whose they are. Without any key everybody is the tenant `local`."""

    def __init__(self, keys: Mapping[str, Secret]) -> None:
        self._keys = [(tenant, _digest(key.reveal())) for tenant, key in keys.items()]
        self._callers: Mapping[str, Caller] = {}
        self._known: dict[bytes, tuple[bytes, Caller]] = {}
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        # Headers that held a right key, by their text: a digest is a tenth of a request's work.
        self._recent: dict[str, Caller] = {}

    def identify(
        self, headers: Headers, query: str, address: str, now: float, callers: Mapping[str, Caller]
    ) -> Caller:
        """Return the caller. Raises BadRequest, Unauthenticated or TooManyBadKeys.

        `query` is the raw query string, `address` the peer's, `now` a monotonic time, `callers`
        the tenants that there are at this moment.
        """
        if query and _holds_key(query):
            raise Unauthenticated(
                "Send the key in the Authorization or x-api-key header, never in the URL.",
                code="key_in_url",
            )
        if callers is not self._callers:
            self._admit(callers)
        sent = headers.getall("authorization", _NONE)
        if len(sent) == 1 and "x-api-key" not in headers and sent[0] in self._recent:
            return self._recent[sent[0]]
        key = _credential(headers)
        if not self._keys:
            return callers[_LOCAL.tenant]
        if not key:
            raise Unauthenticated(
                "No API key given. Send 'Authorization: Bearer <key>' or 'x-api-key: <key>'.",
                code="missing_key",
            )
        digest = _digest(key)
        known, caller = self._known.get(digest, (_NOBODY, STRANGER))
        if compare_digest(known, digest):
            if sent and len(self._recent) < _REMEMBERED:
                self._recent[sent[0]] = caller
            return caller
        raise self._refusal(address, now, digest.hex()[:8])

    def _admit(self, callers: Mapping[str, Caller]) -> None:
        """Let in the keys of these tenants and no others. Once a reload, not once a request."""
        self._callers = callers
        self._recent.clear()
        self._known = {
            digest: (digest, replace(callers[tenant], fingerprint=digest.hex()[:8]))
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
        return Unauthenticated("This API key is not valid.", detail=detail)


def _credential(headers: Headers) -> str:
    """Return the one key that was sent, empty when there is none."""
    bearers = headers.getall("authorization", [])
    keys = headers.getall("x-api-key", [])
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


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _holds_key(query: str) -> bool:
    names = (part.partition("=")[0] for part in query.split("&"))
    return any(unquote_plus(name).lower() in _KEY_NAMES for name in names)


def _network(address: str) -> str:
    """Return what one sender holds: an IPv4 address, or an IPv6 /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return parsed.exploded[:19]
    return str(parsed)
