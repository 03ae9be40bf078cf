"""The one noun: a request on its way, with who sent it and what is known so far."""

from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.catalogue import Target
from gateway.core.chat import ChatRequest
from gateway.core.errors import Forbidden
from gateway.core.limits import LimitRule
from gateway.core.notes import Notes
from gateway.core.reply import Reply

Priority = Literal["high", "normal", "low"]
Overflow = Literal["refuse", "wait"]
SESSION: Final = "x-session-id"
"""The request header that names a conversation. What is answered does not depend on it."""
PromptTtl = Literal["5m", "1h"]
"""For how long a provider keeps the beginning of a prompt after it was last used."""


class Caller(Struct, frozen=True):
    """Whose request it is. `fingerprint` is the 8-hex name of the key that may be logged."""

    tenant: str = "local"
    fingerprint: str = ""
    policy: str = "default"
    labels: Mapping[str, str] = {}
    models: frozenset[str] | None = None
    """The names, aliases too, that it may ask for; None means every one."""
    aliases: frozenset[str] = frozenset()
    """Those of them that are aliases on its list: where they lead is the operator's choice."""
    priority: Priority = "normal"
    limits: tuple[LimitRule, ...] = ()
    """The tenant's own; a `rate_limit` stage of its policy counts them."""
    overflow: Overflow | None = None
    """What becomes of its requests that a limit has no room for; None: as the policy says."""
    key: str = ""
    """The id of the issued key that was sent; empty for keys of gateway.yaml."""

    def check_model(self, name: str) -> None:
        """Raise Forbidden unless this caller may ask for `name`, exactly as it is written."""
        if self.models is not None and name not in self.models:
            raise Forbidden(
                "This key may not use this model. GET /v1/models lists what it may use.",
                code="model_not_allowed",
                param="model",
            )

    def may_be_served_by(self, model: str, asked: str) -> bool:
        """Whether a request of its own for `asked` may go to `model`, which it did not name."""
        return self.models is None or model in self.models or asked in self.aliases


class Route(Struct, frozen=True):
    """Where the request may go, best first, and why."""

    targets: tuple[Target, ...]
    reason: str = ""
    sent: Callable[[float], None] | None = None
    """Told the `Clock.monotonic()` time at which the first target is asked, if it ever is."""


class Exchange(Struct, frozen=True):
    """A request on its way. Frozen: a stage passes a changed copy on.

    `deadline` is a `Clock.monotonic()` time in seconds; nothing may run past it. `drop_params`
    is the caller's or policy's leave to drop parameters that a target cannot take. `headers` holds
    those request headers, names in lower case, that some policy asks about, and no others.
    """

    id: str
    caller: Caller
    request: ChatRequest
    deadline: float
    notes: Notes
    policy: str = "default"
    drop_params: bool = False
    headers: Mapping[str, str] = {}
    version: str = ""
    """Changes whenever the policy may answer differently."""
    again: "Again | None" = None
    """Sends a request on the caller's behalf through the whole policy: limited, charged, logged."""
    max_cost: int | None = None
    """Micro-dollars that the whole chain may cost at most, as the caller says."""
    address: str = ""
    """The peer's address, as the socket says."""
    own_deadline: float = inf
    """The deadline that the caller itself named, infinity when it named none."""
    route: Route | None = None
    context: tuple[tuple[str, str], ...] = ()
    """Ordered (chunk, content hash) pairs that were put into the request."""
    corpora: tuple[str, ...] = ()
    """The names of what they come from."""
    prompt_cache: PromptTtl | None = None
    """For how long the provider is to keep the prompt's beginning; None leaves it to the caller."""
    audit: "Audit | None" = None
    """What is to be done with it in place of answering anybody; see `again`."""

    @property
    def hurried(self) -> bool:
        """Whether it is the caller's own deadline that ends it, and not ours."""
        return self.own_deadline <= self.deadline

    def with_request(self, request: ChatRequest) -> "Exchange":
        """Return a copy that carries another request."""
        return replace(self, request=request)

    def with_route(self, route: Route) -> "Exchange":
        """Return a copy that goes elsewhere."""
        return replace(self, route=route)


Audit = Callable[[Exchange, Callable[[Exchange], Awaitable[Reply]]], Awaitable[Reply]]
"""Stands in for the stage that asked for it: takes the exchange as it came there, and `proceed`."""
Again = Callable[[Exchange], Awaitable[None]]
"""Takes what is to be asked; id, time and notes will be new. What becomes of it, the log says."""
