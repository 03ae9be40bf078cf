"""How the process runs: `config/gateway.yaml`, typed. The one reader of the environment."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from gateway.core.secret import Secret

Bytes = Annotated[int, Meta(ge=1024, le=1 << 40)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What one client, and all of them together, may make the gateway hold or wait for."""

    body: Annotated[Bytes, Meta(description="Largest request body, after decompression.")] = (
        32 << 20
    )
    bodies_in_flight: Annotated[Bytes, Meta(description="All request bodies held at once.")] = (
        512 << 20
    )
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
    """`config/gateway.yaml`. `providers` stays undecoded here: app.py knows the kinds."""

    listen: str = "127.0.0.1:8080"
    admin: str = "127.0.0.1:8081"
    keys: Mapping[str, Secret] = {}
    """Tenant name -> its key. Empty: no key is asked for, and only loopback may be bound."""
    limits: Limits = Limits()
    providers: Mapping[str, Mapping[str, Any]] = {}


def environment() -> Mapping[str, str]:
    """Return the process environment, for `env:` references."""
    return os.environ
