"""What became of one request: the record that log event, metrics and headers are folded from."""

from msgspec import Struct

from gateway.core.errors import Fault
from gateway.core.exchange import Caller
from gateway.core.notes import Attempted, Notes, StreamEnded


class Outcome(Struct, frozen=True, kw_only=True):
    """One finished request. Times are `Clock.monotonic()` seconds; sizes are bytes.

    `endpoint` is the route's template, never the raw path. `code` is empty on success; `fault`
    says who is to blame for it. `first_byte` is when the first answer byte was handed to the
    socket, None when none was.
    """

    id: str
    endpoint: str
    caller: Caller
    policy: str
    model: str
    stream: bool
    status: int
    started: float
    ended: float
    first_byte: float | None
    received: int
    sent: int
    notes: Notes
    code: str = ""
    fault: Fault | None = None
    detail: str = ""
    address: str = ""
    """The peer's address, as the socket says; forwarding headers are not believed."""
    upstream_id: str = ""
    dropped: tuple[str, ...] = ()
    client_retry: int = 0
    """The client SDK's own retry count (`x-stainless-retry-count`), 0 on its first try."""


def overhead(notes: Notes, started: float, now: float) -> float:
    """Return the seconds since `started` that were not spent waiting for a provider."""
    waited = sum(attempt.ended - attempt.started for attempt in notes.all(Attempted))
    ended = notes.last(StreamEnded)
    return max(0.0, now - started - waited - (ended.upstream_seconds if ended else 0.0))
