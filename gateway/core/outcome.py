"""What became of one request: the record that log event, metrics and headers are folded from."""

from msgspec import Struct

from gateway.core.errors import Fault
from gateway.core.exchange import Caller
from gateway.core.notes import (
    Attempted,
    Limited,
    Note,
    Notes,
    Passed,
    Queued,
    Routed,
    StreamEnded,
    Used,
    Verdict,
)


class Facts(Struct):
    """The notes of one request, read in one pass; the newest of a kind counts."""

    provider: str = ""
    """Who answered or was tried last, else where the request was sent."""
    model: str = ""
    reason: str = ""
    """Why it was sent there."""
    attempts: list[Attempted] = []
    waited: float = 0.0
    """Seconds spent waiting for providers."""
    queued: float | None = None
    """Seconds spent waiting for limits and slots of targets, None when there was room."""
    stream: StreamEnded | None = None
    used: Used | None = None
    passed: Passed | None = None
    limited: list[Limited] = []
    verdicts: list[Verdict] = []

    def overhead(self, started: float, now: float) -> float:
        """Return the seconds since `started` that were not spent waiting for anything."""
        return max(0.0, now - started - self.waited - (self.queued or 0.0))


def gather(notes: Notes) -> Facts:
    """Return what the notes say."""
    facts = Facts()
    for note in notes:  # `isinstance` costs four times as much, and the most frequent come first
        if type(note) is Attempted:
            facts.provider, facts.model = note.provider, note.model
            facts.attempts.append(note)
            facts.waited += note.ended - note.started
        elif type(note) is Used:
            facts.used = note
        elif type(note) is Routed:
            facts.reason = note.reason
            if not facts.attempts:
                facts.provider, facts.model = note.provider, note.model
        elif type(note) is Limited:
            facts.limited.append(note)
        elif type(note) is Verdict:
            facts.verdicts.append(note)
        else:
            _add_rarer(facts, note)
    return facts


def _add_rarer(facts: Facts, note: Note) -> None:
    if type(note) is StreamEnded:
        facts.stream = note
        facts.waited += note.upstream_seconds
    elif type(note) is Passed:
        facts.passed = note
    elif type(note) is Queued:
        facts.queued = (facts.queued or 0.0) + note.seconds


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
    facts: Facts
    code: str = ""
    fault: Fault | None = None
    detail: str = ""
    address: str = ""
    """The peer's address, as the socket says; forwarding headers are not believed."""
    upstream_id: str = ""
    dropped: tuple[str, ...] = ()
    client_retry: int = 0
    """The client SDK's own retry count (`x-stainless-retry-count`), 0 on its first try."""

    @property
    def first_token(self) -> float | None:
        """When the answer began: with the first byte out, or the first token that was gathered.

        A caller who wanted a gathered stream whole got no byte before its end.
        """
        facts = self.facts
        if facts.stream is not None and facts.attempts and not self.stream:
            return facts.attempts[-1].ended
        return self.first_byte
