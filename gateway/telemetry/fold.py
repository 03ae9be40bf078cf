"""From an outcome to one flat event. Pure, and total over whatever notes a request left."""

from collections.abc import Container, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from msgspec import Struct

from gateway.core.charge import Charge
from gateway.core.errors import Fault
from gateway.core.notes import Attempted, Cached, CacheResult, End, Limited, Step
from gateway.core.outcome import Facts, Outcome
from gateway.core.reply import Usage
from gateway.core.state import Counted

OTHER: Final = "other"
"""Stands for every name that we did not give: a stranger's text is never a label."""
ASKED: Final = 64
ERRORS: Final = 400


class WideEvent(Struct, tag="request", tag_field="event", gc=False):
    """All that the log says of a request. Milliseconds, bytes, dollars; None is unknown, never 0.

    `asked`, `detail` and `upstream_id` come from outside and still need redaction.
    """

    ts: str
    request_id: str
    endpoint: str
    tenant: str
    key: str
    client: str
    policy: str
    model: str
    """What the caller asked for, or `other` when we do not serve it."""
    answered_by: str
    answered_model: str
    status: int
    code: str
    fault: Fault | None
    detail: str
    stream: bool
    duration_ms: float
    ttft_ms: float | None
    overhead_ms: float
    upstream_ms: float
    route: str
    attempts: int
    counted: Counted | None
    bytes_in: int
    bytes_out: int
    upstream_id: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int = 0
    tokens_cache_write: int = 0
    tokens_reasoning: int = 0
    cost_usd: float | None = None
    asked: str | None = None
    """The beginning of a name that we do not serve."""
    queue_ms: float | None = None
    tried: tuple[str, ...] = ()
    """Filled where one try was not enough."""
    stages: tuple[str, ...] = ()
    tier: str | None = None
    tier_by: Step | None = None
    """By what it was chosen; why exactly, `route` says."""
    cache: CacheResult | None = None
    cache_reason: str = ""
    cache_age_s: float | None = None
    cache_id: str = ""
    saved_usd: float | None = None
    cache_risk: str = ""
    """Of a semantic hit: the share of wrong ones that is not exceeded, or `unproven`."""
    cache_unstored: str = ""
    limits: tuple[str, ...] = ()
    """Titles of the limits that had no room, whether or not they were enforced."""
    stream_end: End | None = None
    stream_code: str = ""
    longest_gap_ms: float | None = None
    dropped: tuple[str, ...] = ()
    client_retry: int = 0


def fold(outcome: Outcome, charge: Charge, wall: float, served: Container[str]) -> WideEvent:
    """Return the wide event of a request that ended at `wall` (seconds since 1970).

    Names in `served` are logged as they are. Prompts and answers are not part of an outcome and
    so cannot get here.
    """
    facts, caller, attempts = outcome.facts, outcome.caller, outcome.facts.attempts
    first = outcome.first_token if outcome.status < ERRORS else None
    total, waited, own = outcome.times()
    event = WideEvent(  # by position: with this many names it would cost four times as much
        _stamp(int(wall * 1000)),
        outcome.id,
        outcome.endpoint,
        caller.tenant,
        caller.fingerprint,
        outcome.address,
        outcome.policy,
        outcome.model if outcome.model in served else OTHER,
        facts.provider,
        facts.model,
        outcome.status,
        outcome.code,
        outcome.fault,
        outcome.detail,
        outcome.stream,
        _ms(total),
        None if first is None else _ms(first - outcome.started),
        _ms(own),
        _ms(waited),
        facts.route,
        len(attempts),
        charge.counted if attempts else None,
        outcome.received,
        outcome.sent,
        outcome.upstream_id,
    )
    if facts.passed is not None and facts.stream is not None and facts.stream.reason != "done":
        _add_spent(event, facts.passed.usage, charge.amounts.micro_dollars)  # nobody knows more
    elif facts.used is not None:
        _add_spent(event, facts.used.usage, facts.micro_dollars)
    _add_rarer(event, outcome, facts)
    return event


def _add_spent(event: WideEvent, usage: Usage, price: int | None) -> None:
    event.tokens_in = usage.input
    event.tokens_out = usage.output
    event.tokens_cached = usage.cached
    event.tokens_cache_write = usage.cache_write
    event.tokens_reasoning = usage.reasoning
    event.cost_usd = None if price is None else price / 1e6


def _add_rarer(event: WideEvent, outcome: Outcome, facts: Facts) -> None:
    if event.model is not outcome.model:  # a name that is not served
        event.asked = outcome.model[:ASKED] or None
    if facts.queued is not None:
        event.queue_ms = _ms(facts.queued)
    if event.attempts > 1:
        event.tried = _tried(facts.attempts)
    if facts.verdicts:
        event.stages = tuple(f"{each.stage}: {each.verdict}" for each in facts.verdicts)
    if facts.tiered is not None:
        event.tier, event.tier_by = facts.tiered.tier, facts.tiered.step
    if facts.cached is not None:
        _add_cached(event, facts.cached)
    if facts.limited:
        event.limits = _reached(facts.limited)
    if facts.stream is not None:
        event.stream_end, event.stream_code = facts.stream.reason, facts.stream.code
        event.longest_gap_ms = _ms(facts.stream.longest_gap)
    if outcome.dropped or outcome.client_retry:
        event.dropped, event.client_retry = outcome.dropped, outcome.client_retry


def _add_cached(event: WideEvent, cached: Cached) -> None:
    event.cache, event.cache_reason, event.cache_id = cached.result, cached.reason, cached.id
    event.cache_unstored = cached.unstored
    if cached.hit:
        event.cache_age_s = cached.age * 1e3 // 1 / 1e3
        event.cache_risk = cached.risk
        event.saved_usd = None if cached.saved is None else cached.saved / 1e6


def _reached(limited: Sequence[Limited]) -> tuple[str, ...]:
    return tuple(title for note in limited for title in note.exceeded)


def _tried(attempts: Sequence[Attempted]) -> tuple[str, ...]:
    return tuple(f"{each.provider}/{each.model}: {each.code or 'ok'}" for each in attempts)


@lru_cache(maxsize=2)  # under load many requests end in one millisecond
def _stamp(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds")


def _ms(seconds: float) -> float:
    return seconds * 1e6 // 1 / 1e3
