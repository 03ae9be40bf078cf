"""The one noun: a request on its way, with who sent it and what is known so far."""

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.catalogue import Target
from gateway.core.chat import ChatRequest
from gateway.core.notes import Notes


class Caller(Struct, frozen=True):
    """Whose request it is. `fingerprint` is the 8-hex name of the key that may be logged."""

    tenant: str = "local"
    fingerprint: str = ""


class Route(Struct, frozen=True):
    """Where the request may go, best first, and why."""

    targets: tuple[Target, ...]
    reason: str = ""


class Exchange(Struct, frozen=True):
    """A request on its way. Frozen: a stage passes a changed copy on.

    `deadline` is a `Clock.monotonic()` time in seconds; nothing may run past it. `drop_params`
    is the caller's or policy's leave to drop parameters that a target cannot take.
    """

    id: str
    caller: Caller
    request: ChatRequest
    deadline: float
    notes: Notes
    policy: str = "default"
    route: Route | None = None
    drop_params: bool = False

    def with_request(self, request: ChatRequest) -> "Exchange":
        """Return a copy that carries another request."""
        return replace(self, request=request)

    def with_route(self, route: Route) -> "Exchange":
        """Return a copy that goes elsewhere."""
        return replace(self, route=route)
