"""From an outcome to one flat event. Pure, and total over whatever notes a request left."""

from collections.abc import Container, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeAlias

from msgspec import Struct

from gateway.core.charge import Charge
from gateway.core.errors import Fault
from gateway.core.notes import Attempted, Cached, CacheResult, End, Limited, StreamEnded
from gateway.core.outcome import Facts, Outcome
from gateway.core.state import Counted

OTHER: Final = "other"
"""Stands for every name that we did not give: a stranger's text is never a label."""
ASKED: Final = 64
ERRORS: Final = 400
_Spent: TypeAlias = tuple[int | None, int | None, int, int, int, float | None]
_NOTHING_SPENT: Final[_Spent] = (None, None, 0, 0, 0, None)
_CacheFields: TypeAlias = tuple[CacheResult | None, str, float | None, str, float | None]
_NO_CACHE: Final[_CacheFields] = (None, "", None, "", None)
_Ended: TypeAlias = tuple[End | None, str, float | None]
_NO_STREAM: Final[_Ended] = (None, "", None)


class WideEvent(Struct, tag="request", tag_field="event", gc=False):
    """All that the log says of a request. Milliseconds, bytes, dollars; None is unknown, never 0.

    `asked`, `detail` and `upstream_id` come from outside and still need redaction. Names that are
    served are told as they are. Prompts and answers are not part of an outcome and cannot get here.
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
    asked: str | None
    """The beginning of a name that we do not serve."""
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
    queue_ms: float | None
    route: str
    attempts: int
    tried: tuple[str, ...]
    """Filled where one try was not enough."""
    stages: tuple[str, ...]
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int
    tokens_cache_write: int
    tokens_reasoning: int
    cost_usd: float | None
    counted: Counted | None
    cache: CacheResult | None
    cache_reason: str
    cache_age_s: float | None
    cache_id: str
    saved_usd: float | None
    limits: tuple[str, ...]
    """Titles of the limits that had no room, whether or not they were enforced."""
    bytes_in: int
    bytes_out: int
    stream_end: End | None
    stream_code: str
    longest_gap_ms: float | None
    dropped: tuple[str, ...]
    upstream_id: str
    client_retry: int


def fold(outcome: Outcome, charge: Charge, wall: float, served: Container[str]) -> WideEvent:
    """Return the wide event of a request that ended at `wall`, seconds since 1970."""
    facts, started, model = outcome.facts, outcome.started, outcome.model
    first = outcome.first_token if outcome.status < ERRORS else None
    total, waited, own = outcome.times()
    queued = facts.queued
    stream, known = facts.stream, model in served
    return WideEvent(  # by position: with this many names it would cost four times as much
        _stamp(int(wall * 1000)),
        outcome.id,
        outcome.endpoint,
        outcome.caller.tenant,
        outcome.caller.fingerprint,
        outcome.address,
        outcome.policy,
        model if known else OTHER,
        None if known else model[:ASKED] or None,
        facts.provider,
        facts.model,
        outcome.status,
        outcome.code,
        outcome.fault,
        outcome.detail,
        outcome.stream,
        _ms(total),
        None if first is None else _ms(first - started),
        _ms(own),
        _ms(waited),
        None if queued is None else _ms(queued),
        facts.reason,
        len(facts.attempts),
        _tried(facts.attempts) if len(facts.attempts) > 1 else (),
        tuple(f"{v.stage}: {v.verdict}" for v in facts.verdicts) if facts.verdicts else (),
        *_spent(facts, charge),
        charge.counted if facts.attempts else None,
        *(_cached(facts.cached) if facts.cached else _NO_CACHE),
        _reached(facts.limited) if facts.limited else (),
        outcome.received,
        outcome.sent,
        *(_ended(stream) if stream else _NO_STREAM),
        outcome.dropped,
        outcome.upstream_id,
        outcome.client_retry,
    )


def _spent(facts: Facts, charge: Charge) -> _Spent:
    """Return what was used, and its price; of an answer that was cut, what passed."""
    used, price = facts.used, facts.micro_dollars
    if facts.passed is not None and facts.stream is not None and facts.stream.reason != "done":
        used, price = facts.passed, charge.amounts.micro_dollars  # nobody can say more
    if used is None:
        return _NOTHING_SPENT
    usage, dollars = used.usage, None if price is None else price / 1e6
    return usage.input, usage.output, usage.cached, usage.cache_write, usage.reasoning, dollars


def _ended(stream: StreamEnded) -> _Ended:
    return stream.reason, stream.code, _ms(stream.longest_gap)


def _cached(cached: Cached) -> _CacheFields:
    saved = cached.saved if cached.hit else None
    age = cached.age * 1e3 // 1 / 1e3 if cached.hit else None
    cost = None if saved is None else saved / 1e6
    return cached.result, cached.reason, age, cached.id, cost


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
