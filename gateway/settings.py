"""How the process runs: `config/gateway.yaml`, typed. The one reader of the environment."""

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from gateway.core.secret import Secret

Bytes = Annotated[int, Meta(ge=1024, le=1 << 40)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        title="1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit",
    ),
]
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):([0-9]{1,5})")
_MAX_PORT = 65535
_LOCAL = "127.0.0.1"
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - to be recognised, not to be bound


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What one client, and all of them together, may make the gateway hold or wait for."""

    body: Annotated[Bytes, Meta(description="Largest request body, after decompression.")] = (
        32 << 20
    )
    bodies_in_flight: Annotated[
        Bytes,
        Meta(description="All bodies held at once; a large one counts twice once it is decoded."),
    ] = 512 << 20
    headers: Annotated[Bytes, Meta(description="All header bytes of one request.")] = 64 << 10
    connections: Annotated[
        int,
        Meta(ge=0, le=1_000_000, description="Open client connections; 0 = 80 % of the fd limit."),
    ] = 0
    first_request: Annotated[
        Seconds, Meta(description="A new connection's wait for a request.")
    ] = 10
    header: Annotated[
        Seconds, Meta(description="From a request's first byte to its last header.")
    ] = 10
    body_grace: Annotated[Seconds, Meta(description="After this a body must keep 100 bytes/s.")] = (
        10
    )
    idle: Annotated[Seconds, Meta(description="A kept connection's wait for its next request.")] = (
        60
    )
    write_stall: Annotated[Seconds, Meta(description="A reader that takes nothing is cut off.")] = (
        30
    )
    request: Annotated[Seconds, Meta(description="Deadline of a whole request.")] = 600
    drain: Annotated[Seconds, Meta(description="After SIGTERM, for requests in flight to end.")] = (
        30
    )


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config/gateway.yaml` but for its providers and state, which `policy/setup.py` adds."""

    listen: Annotated[str, Meta(description="HOST:PORT for clients.")] = "127.0.0.1:8080"
    admin: Annotated[str, Meta(description="HOST:PORT for health, metrics and /admin.")] = (
        "127.0.0.1:8081"
    )
    admin_token: Annotated[
        Secret | None,
        Meta(
            description="What /admin asks for as `Authorization: Bearer ...`. Left out: /admin is"
            " off, and `admin` must be a loopback address."
        ),
    ] = None
    keys: Annotated[
        Mapping[Name, Secret],
        Meta(
            description="Tenant name -> its key. Empty: unless `require_key`, no key is asked for"
            " until one is issued, and only loopback addresses may be bound."
        ),
    ] = {}
    require_key: Annotated[
        bool,
        Meta(description="Ask for a key also while `keys` is empty: issued ones are let in."),
    ] = False
    pepper: Annotated[
        Secret | None,
        Meta(
            description="What issued keys are kept with; nodes that share a Redis need the same."
            " Left out: a file in the data directory, made at first start."
        ),
    ] = None
    limits: Annotated[Limits, Meta(description="What clients may make the gateway hold.")] = (
        Limits()
    )

    @property
    def private(self) -> bool:
        """Whether only this machine can reach the clients' address."""
        try:
            return parse_address(self.listen).private
        except ValueError:
            return True


class Address(Struct, frozen=True):
    """Where to listen. An empty host means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def private(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def overlaps(self, other: "Address") -> bool:
        """Whether both cannot be listened on at once. Port 0 takes a free one, so never."""
        mine, theirs = (_LOCAL if a.host == "localhost" else a.host for a in (self, other))
        same = mine == theirs or not _EVERYWHERE.isdisjoint({mine, theirs})
        return same and self.port == other.port != 0


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `[::1]:PORT` or `:PORT`. Raises ValueError saying what was expected."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > _MAX_PORT:
        raise ValueError("this must be HOST:PORT, such as 127.0.0.1:8080.")
    return Address(found[1].strip("[]"), int(found[2]))


def address_problems(settings: Settings) -> list[tuple[str, str]]:
    """Return what is wrong with the addresses, as (field, what) pairs."""
    problems = []
    read: list[Address] = []
    for field, text in (("listen", settings.listen), ("admin", settings.admin)):
        try:
            address = parse_address(text)
        except ValueError as error:
            problems.append((field, str(error)))
            continue
        if any(address.overlaps(other) for other in read):
            problems.append((field, f"{text} is where `listen` is. Choose another port."))
        read.append(address)
        if address.private:
            continue
        reached = f"{text} can be reached from other machines, and no"
        if field == "listen" and not settings.keys and not settings.require_key:
            cure = "Add `keys:` or `require_key: true` to gateway.yaml, or listen on 127.0.0.1."
            problems.append((field, f"{reached} key is asked for. {cure}"))
        elif field == "admin" and settings.admin_token is None:
            cure = "Add `admin_token:` to gateway.yaml, or listen on 127.0.0.1."
            problems.append((field, f"{reached} token is asked for. {cure}"))
    return problems


def environment() -> Mapping[str, str]:
    """Return the process environment, for `env:` references."""
    return os.environ
