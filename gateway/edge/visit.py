"""One request's visit at the door: what is known of it, and the way back to its caller."""

from math import inf

from msgspec.structs import replace

from gateway.core.chat import Dialect
from gateway.core.errors import Draining, Fault, GatewayError, Unauthenticated
from gateway.core.exchange import Caller
from gateway.core.notes import End, Notes, StreamEnded
from gateway.core.outcome import Facts, Outcome, gather
from gateway.core.ports import Clock
from gateway.edge.connection import Connection
from gateway.edge.identity import STRANGER
from gateway.edge.routes import OTHER
from gateway.policy.snapshot import Snapshot

CLIENT_GONE = 499


class ClientGone(Exception):
    """Nobody is there to be answered."""


class Visit:
    """The facts of one request, filled while it is served; `outcome` is their last word."""

    __slots__ = (
        "_facts",
        "_read",
        "caller",
        "chunked",
        "client_retry",
        "clock",
        "code",
        "connection",
        "detail",
        "dialect",
        "dropped",
        "fault",
        "first_byte",
        "head_only",
        "held",
        "id",
        "interruption",
        "keep",
        "model",
        "notes",
        "own_deadline",
        "policy",
        "received",
        "sent",
        "snapshot",
        "started",
        "status",
        "stream",
        "streaming",
        "template",
        "upstream_id",
    )

    def __init__(self, request_id: str, clock: Clock, connection: Connection) -> None:
        self.id = request_id
        self.clock = clock
        self.connection = connection
        self.started = clock.monotonic()
        self.interruption: GatewayError | None = None
        self.template = OTHER
        self.dialect: Dialect = "openai"
        self.caller: Caller = STRANGER
        # The policies that it was let in under, held until its end.
        self.snapshot: Snapshot | None = None
        self.policy = self.model = ""
        self.stream = False
        self.status = 0
        self.keep = False
        """Whether the connection outlives this request."""
        self.chunked = False
        self.head_only = False
        self.streaming = False
        """Whether the head of an event stream has been sent."""
        self.first_byte: float | None = None
        self.held = 0
        """Body bytes that count as in flight until the end."""
        self.received = 0
        self.sent = 0
        self.notes = Notes()
        self._facts: Facts | None = None
        self._read = 0
        self.code = self.detail = self.upstream_id = ""
        self.fault: Fault | None = None
        self.dropped: tuple[str, ...] = ()
        self.client_retry = 0
        self.own_deadline = inf
        """The deadline that the caller named, if it is the one that counts."""

    def interrupt(self, error: GatewayError) -> None:
        """End what is being done for this request, and answer it with `error`."""
        task = self.connection.task
        if self.interruption is None and task is not None:
            self.interruption = error
            task.cancel()

    def blame(self, error: GatewayError) -> None:
        """Note why this request failed."""
        self.code = error.code
        self.fault = error.fault
        self.detail = error.detail

    def left(self) -> None:
        """Note that the caller went away before its answer was complete."""
        self.status = CLIENT_GONE
        self.code = "client_gone"
        self.fault = "caller"
        self.keep = False

    def cut(self) -> None:
        """Break the connection: half a JSON body has left, and no words can be put after it."""
        self.keep = False
        if self.connection.transport is not None:
            self.connection.transport.abort()

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; `drain` before much follows. Raises ClientGone."""
        transport = self.connection.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        transport.write(data)
        self.sent += len(data)

    async def drain(self) -> None:
        """Wait until the client has taken enough; should it leave, this task is cancelled."""
        if self.connection.transport is None:
            raise ClientGone
        await self.connection._drain_helper()  # noqa: SLF001 - aiohttp has no public name

    def facts(self) -> Facts:
        """Return what the notes say by now."""
        count = len(self.notes)
        if self._facts is None or count != self._read:
            self._facts, self._read = gather(self.notes), count
        return self._facts

    def outcome(self) -> Outcome:
        """Return the record of this request."""
        facts = self.facts()
        if self.interruption is not None and facts.stream is not None:
            facts.stream = _cut(facts.stream, self.interruption)
        return Outcome(  # by position: with this many names it would cost four times as much
            self.id,
            self.template,
            self.caller,
            self.policy,
            self.model,
            self.stream,
            self.status,
            self.started,
            self.clock.monotonic(),
            self.first_byte,
            self.received,
            self.sent,
            facts,
            self.code,
            self.fault,
            self.detail,
            self.connection.address,
            self.upstream_id,
            self.dropped,
            self.client_retry,
        )


def _cut(stream: StreamEnded, why: GatewayError) -> StreamEnded:
    """Return the end of a stream as it was: who closed it could only see that nobody reads on."""
    if stream.reason != "client_gone":
        return stream
    reason: End = "error"
    if isinstance(why, (Draining, Unauthenticated)):
        reason = "draining" if isinstance(why, Draining) else "revoked"
    return replace(stream, reason=reason, code=why.code)
