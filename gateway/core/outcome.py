"""What became of one request: the record that log event, metrics and headers are folded from."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.errors import Fault
from gateway.core.exchange import Caller
from gateway.core.notes import (
    Attempted,
    Cached,
    Estimated,
    Limited,
    Note,
    Notes,
    Passed,
    Queued,
    Routed,
    StreamEnded,
    Tiered,
    Used,
    Verdict,
    Wasted,
)


class Facts(Struct, gc=False):
    """The notes of one request, read in one pass; the newest of a kind counts."""

    provider: str = ""
    """Who answered or was tried last, else where the request was sent."""
    model: str = ""
    reason: str = ""
    """Why it was sent there."""
    attempts: tuple[Attempted, ...] = ()
    waited: float = 0.0
    """Seconds spent waiting for providers."""
    queued: float | None = None
    """Seconds spent waiting for limits and slots of targets, None when there was room."""
    stream: StreamEnded | None = None
    used: Used | None = None
    wasted: tuple[Wasted, ...] = ()
    passed: Passed | None = None
    estimated: Estimated | None = None
    limited: tuple[Limited, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cached: Cached | None = None
    tiered: Tiered | None = None

    @property
    def route(self) -> str:
        """Why it was sent where it was: why to this tier, and why to this target of it."""
        if self.tiered is None:
            return self.reason
        return f"{self.tiered.reason}; {self.reason}" if self.reason else self.tiered.reason

    @property
    def micro_dollars(self) -> int | None:
        """What the answer cost, with the attempts that nobody got; None when that is unknown."""
        total = self.used.micro_dollars if self.used else None
        for each in self.wasted:
            known = total is not None and each.micro_dollars is not None
            total = (total or 0) + (each.micro_dollars or 0) if known else None
        return total

    def overhead(self, started: float, now: float) -> float:
        """Return the seconds since `started` that were not spent waiting for anything."""
        own = now - started - self.waited - (self.queued or 0.0)
        return own if own > 0.0 else 0.0  # noqa: FURB136 - `max` costs four times as much


def gather(notes: Notes) -> Facts:
    """Return what the notes say."""
    facts = Facts()
    for note in notes:  # `isinstance` costs four times as much, and the most frequent come first
        if type(note) is Attempted:
            facts.provider, facts.model = note.provider, note.model
            if facts.attempts:
                _supersede(facts)
            facts.attempts += (note,)
            facts.waited += note.ended - note.started
        elif type(note) is Used:
            facts.used = note
        elif type(note) is Routed:
            facts.reason = note.reason
            if not facts.attempts:
                facts.provider, facts.model = note.provider, note.model
        elif type(note) is Limited:
            facts.limited += (note,)
        elif type(note) is Verdict:
            facts.verdicts += (note,)
        else:
            _add_rarer(facts, note)
    if facts.wasted:
        _decide(facts)
    return facts


def _add_rarer(facts: Facts, note: Note) -> None:
    if type(note) is StreamEnded:
        facts.stream = note
        facts.waited += note.upstream_seconds
    elif type(note) is Passed:
        facts.passed = note
    elif type(note) is Queued:
        facts.queued = (facts.queued or 0.0) + note.seconds
    elif type(note) is Estimated:
        facts.estimated = note
    elif type(note) is Wasted:
        facts.wasted += (note,)
    elif type(note) is Tiered:
        facts.tiered = note
        facts.model, facts.provider = facts.model or note.model, facts.provider or note.provider
    elif type(note) is Cached:
        facts.cached = note
        facts.model = facts.model or note.model


def _supersede(facts: Facts) -> None:
    """Count as wasted what an attempt used that broke before its caller had any of it."""
    spent, lost = facts.passed or facts.used, facts.attempts[-1]
    if spent is not None:
        usage = spent.usage
        lot = Wasted(lost.provider, lost.model, usage.input, spent.micro_dollars, usage.output)
        facts.wasted += (lot,)
    if facts.stream is not None:
        facts.attempts = (*facts.attempts[:-1], replace(lost, code=facts.stream.code))
    facts.used = facts.passed = facts.stream = None


def _decide(facts: Facts) -> None:
    """Name the winner of a race, whose loser ends behind it; count their time once."""
    facts.waited -= _twice(facts.attempts)
    for each in facts.attempts:
        if not each.code:
            facts.provider, facts.model = each.provider, each.model


def _twice(attempts: Sequence[Attempted]) -> float:
    """Return the seconds in which two of them were under way, which were waited for once."""
    total, until = 0.0, 0.0
    for each in sorted(attempts, key=lambda attempt: attempt.started):
        total += max(0.0, min(until, each.ended) - each.started)
        until = max(until, each.ended)
    return total


class Outcome(Struct, frozen=True, gc=False):
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

    def times(self) -> tuple[float, float, float]:
        """Return the seconds of all of it, those waited for providers, and those of our own."""
        total, waited = self.ended - self.started, self.facts.waited
        if waited > total:  # noqa: PLR1730 - `min` costs four times as much
            waited = total
        return total, waited, self.facts.overhead(self.started, self.ended)

    @property
    def first_token(self) -> float | None:
        """When the answer began: with the first byte out, or the first token that was gathered.

        A caller who wanted a gathered stream whole got no byte before its end.
        """
        facts = self.facts
        if facts.stream is not None and facts.attempts and not self.stream:
            return facts.attempts[-1].ended
        return self.first_byte
