"""Issuing keys: what may be asked of one, and what is told about it."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from gateway.core.keys import KIND, NAME, SHOWN, digest_of, mark_of
from gateway.core.secret import Secret
from gateway.core.state import IssuedKey, State
from gateway.documents import suggest
from gateway.documents.conversion import Conversion
from gateway.policy.tenants import Label
from gateway.settings import Name

_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST: Final = 32
_MAPPED: Final = 96
"""Labels, and networks, that one key may have."""


class WantedKey(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked for. `expires` is a span from now, such as 30d; empty means never."""

    tenant: Name
    labels: Annotated[Mapping[Name, Label], Meta(max_length=_MOST)] = {}
    networks: Annotated[tuple[str, ...], Meta(max_length=_MOST)] = ()
    expires: str = ""


Audit = Callable[..., None]
"""Writes a line, an event with fields, that says who changed what."""


class Misfit(ValueError):
    """A field of a wanted key that cannot be; `str` says why and what to do."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(what)
        self.field = field


class Issued(Struct, frozen=True):
    """A new key, which is never seen again, and what is kept of it."""

    secret: str
    key: IssuedKey


class Issuer:
    """Creates and revokes keys in a store; every change leaves a line that holds no key."""

    def __init__(
        self,
        state: State,
        pepper: Secret,
        *,
        new_secret: Callable[[], str],
        tenants: Callable[[], Collection[str] | None],
        audit: Audit,
    ) -> None:
        """`tenants` returns who may have a key, None for everybody."""
        self.now = state.limiter.now
        """The store's time, by which keys expire."""
        self._keys = state.keys
        self._pepper = pepper.reveal().encode()
        self._new_secret = new_secret
        self._tenants = tenants
        self._audit = audit

    async def create(self, asked: Mapping[str, Any], actor: str) -> Issued:
        """Issue a key; `actor` is who asks. Raises Misfit, StateUnavailable when it is not kept."""
        wanted, created = self._read(asked), self.now()
        secret = KIND + self._new_secret()
        digest = digest_of(secret, self._pepper)
        key = IssuedKey(
            id=digest[:NAME],
            digest=digest,
            pepper=mark_of(self._pepper),
            prefix=secret[:SHOWN],
            tenant=wanted.tenant,
            labels=wanted.labels,
            networks=wanted.networks,
            created=created,
            expires=created + _span(wanted.expires) if wanted.expires else None,
        )
        await self._keys.create(key)
        self._tell("key created", actor, key, None, facts(key, created))
        return Issued(secret, key)

    async def revoke(self, name: str, actor: str) -> IssuedKey | None:
        """Revoke a key for good and return it, None when there is none. Raises StateUnavailable."""
        now = self.now()
        if not await self._keys.revoke(name, now):
            return None
        key = next(key for key in await self._keys.all() if key.id == name)
        since = {"revoked": _moment(key.revoked)}
        again = (key.revoked or now) < now
        self._tell("key revoked", actor, key, since if again else {"revoked": None}, since)
        return key

    def _tell(self, event: str, actor: str, key: IssuedKey, before: object, after: object) -> None:
        self._audit(
            event,
            actor=actor,
            key=key.id,
            prefix=key.prefix,
            tenant=key.tenant,
            before=before,
            after=after,
        )

    async def all(self) -> Sequence[IssuedKey]:
        """Return every key, oldest first. Raises StateUnavailable."""
        return await self._keys.all()

    def _read(self, asked: Mapping[str, Any]) -> WantedKey:
        reading = Conversion(asked, WantedKey, _nothing_else)
        wanted = reading.run()
        if wanted is None or reading.misfits:
            path, what = (*reading.misfits, ((), "this is no key."))[0]
            raise Misfit(".".join(map(str, path)), what)
        tenants = self._tenants()
        if tenants is not None and wanted.tenant not in tenants:
            what = f"there is no such tenant in tenants.yaml.{suggest(wanted.tenant, tenants)}"
            raise Misfit("tenant", what)
        for index, network in enumerate(wanted.networks):
            _check_network(network, f"networks.{index}")
        if wanted.expires:
            _span(wanted.expires)
        return wanted


def facts(key: IssuedKey, now: float) -> dict[str, object]:
    """Return what people may see of a key, times as ISO 8601 in UTC."""
    over = key.expires is not None and key.expires <= now
    return {
        "id": key.id,
        "prefix": key.prefix,
        "tenant": key.tenant,
        "state": "revoked" if key.revoked is not None else "expired" if over else "active",
        "labels": dict(key.labels),
        "networks": list(key.networks),
        "created": _moment(key.created),
        "expires": _moment(key.expires),
        "revoked": _moment(key.revoked),
    }


def _moment(epoch: float | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _span(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if found is None:
        what = "this must be a number and s, m, h, d or w (seconds to weeks), such as 30d."
        raise Misfit("expires", what)
    return int(found[1]) * _SECONDS[found[2]]


def _check_network(text: str, field: str) -> None:
    try:
        mapped = _mapped(ip_network(text))
    except ValueError:
        try:
            cure = f"write {ip_network(text, strict=False)}."
        except ValueError:
            cure = "write an address or a range, such as 10.0.0.0/8 or 2001:db8::/32."
        raise Misfit(field, f"this is no network: {cure}") from None
    if mapped is not None:  # who comes from there is known by that, so the key would open nothing
        raise Misfit(field, f"this is an IPv4 network in IPv6 words: write {mapped}.")


def _mapped(network: IPv4Network | IPv6Network) -> IPv4Network | None:
    """Return the IPv4 network that an IPv6 one below ::ffff:0:0/96 stands for, else None."""
    address = network.network_address
    if isinstance(address, IPv4Address) or network.prefixlen < _MAPPED:
        return None
    if address.ipv4_mapped is None:
        return None
    return IPv4Network((address.ipv4_mapped, network.prefixlen - _MAPPED))


def _nothing_else(shape: type, _given: object) -> object:
    raise NotImplementedError(shape)
