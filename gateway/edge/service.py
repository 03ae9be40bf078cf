"""Everything that the door needs of the house, handed over once."""

from collections.abc import Callable

from msgspec import Struct, field

from gateway.core.catalogue import Catalogue
from gateway.core.known import KnownRequests
from gateway.core.outcome import Outcome
from gateway.core.ports import Runtime
from gateway.edge.identity import Identity
from gateway.edge.readiness import Readiness
from gateway.policy.snapshot import Holder
from gateway.settings import Limits


class Service(Struct, frozen=True, kw_only=True):
    """What is behind the door. `report` is called exactly once per request, at its end."""

    runtime: Runtime
    limits: Limits
    keys: Identity
    holder: Holder
    catalogue: Catalogue
    report: Callable[[Outcome], None]
    readiness: Readiness
    known: KnownRequests = field(default_factory=KnownRequests)
    """Requests whose answers were at hand."""
    keepalive: float = 15.0
    """Seconds of silence in a stream after which a sign of life is sent."""
