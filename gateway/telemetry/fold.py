"""From an outcome to one flat event. Pure, and total over whatever notes a request left."""

from collections.abc import Container
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway.core.charge import Charge
from gateway.core.notes import Cached, Limited, StreamEnded, Used
from gateway.core.outcome import Facts, Outcome
from gateway.core.reply import Usage

OTHER: Final = "other"
"""Stands for every name that we did not give: a stranger's text is never a label."""
ASKED: Final = 64
ERRORS: Final = 400


def fold(
    outcome: Outcome, charge: Charge, wall: float, served: Container[str]
) -> dict[str, object]:
    """Return the wide event of a request that ended at `wall` (seconds since 1970).

    `model` is what the caller asked for, or `other` when that is no name in `served`; `asked` then
    is its beginning. `asked`, `detail` and `upstream_id` come from outside and still need
    redaction. Prompts and answers are not part of an outcome and so cannot get here.
    """
    facts, started = outcome.facts, outcome.started
    first = outcome.first_token if outcome.status < ERRORS else None
    total, waited = outcome.ended - started, min(facts.waited, outcome.ended - started)
    return {
        "ts": _stamp(int(wall * 1000)),
        "request_id": outcome.id,
        "endpoint": outcome.endpoint,
        "tenant": outcome.caller.tenant,
        "key": outcome.caller.fingerprint,
        "client": outcome.address,
        "policy": outcome.policy,
        **_asked(outcome.model, served),
        "answered_by": facts.provider,
        "answered_model": facts.model,
        "status": outcome.status,
        "code": outcome.code,
        "fault": outcome.fault,
        "detail": outcome.detail,
        "stream": outcome.stream,
        "duration_ms": _ms(total),
        "ttft_ms": None if first is None else _ms(first - started),
        **_overhead(total, waited, facts.queued),
        **_way(facts),
        "stages": [f"{v.stage}: {v.verdict}" for v in facts.verdicts] if facts.verdicts else (),
        **(_spent(facts.used, facts.micro_dollars) if facts.used else _NOTHING_SPENT),
        "counted": charge.counted if facts.attempts else None,
        **(_cached(facts.cached) if facts.cached else _NO_CACHE),
        "limits": _reached(facts.limited) if facts.limited else (),
        "bytes_in": outcome.received,
        "bytes_out": outcome.sent,
        **(_ended(facts.stream) if facts.stream else _NO_STREAM),
        "dropped": outcome.dropped,
        "upstream_id": outcome.upstream_id,
        "client_retry": outcome.client_retry,
    }


def _reached(limited: list[Limited]) -> list[str]:
    """Return the titles of the limits that had no room, whether or not they were enforced."""
    return [title for note in limited for title in note.exceeded]


def _asked(model: str, served: Container[str]) -> dict[str, object]:
    if model in served:
        return {"model": model, "asked": None}
    return {"model": OTHER, "asked": model[:ASKED] or None}


def _way(facts: Facts) -> dict[str, object]:
    """Return where a request went and why; `tried` is filled where one try was not enough."""
    attempts = facts.attempts
    tried: tuple[str, ...] = ()
    if len(attempts) > 1:
        tried = tuple(f"{each.provider}/{each.model}: {each.code or 'ok'}" for each in attempts)
    return {"route": facts.reason, "attempts": len(attempts), "tried": tried}


def _spent(used: Used, price: int | None) -> dict[str, object]:
    usage = used.usage
    return {
        "tokens_in": usage.input,
        "tokens_out": usage.output,
        "tokens_cached": usage.cached,
        "tokens_cache_write": usage.cache_write,
        "tokens_reasoning": usage.reasoning,
        "cost_usd": None if price is None else price / 1e6,
    }


# What the provider did not say is null, never 0.
_NOTHING_SPENT: Final = _spent(Used("", Usage(), None), None) | {
    "tokens_in": None,
    "tokens_out": None,
}


def _cached(cached: Cached) -> dict[str, object]:
    hit = cached.hit
    return {
        "cache": cached.result,
        "cache_reason": cached.reason,
        "cache_age_s": cached.age * 1e3 // 1 / 1e3 if hit else None,
        "cache_id": cached.id,
        "saved_usd": cached.saved / 1e6 if hit and cached.saved is not None else None,
    }


_NO_CACHE: Final = {
    "cache": None,
    "cache_reason": "",
    "cache_age_s": None,
    "cache_id": "",
    "saved_usd": None,
}


def _overhead(total: float, waited: float, queued: float | None) -> dict[str, object]:
    return {
        "overhead_ms": _ms(max(0.0, total - waited - (queued or 0.0))),
        "upstream_ms": _ms(waited),
        "queue_ms": None if queued is None else _ms(queued),
    }


def _ended(stream: StreamEnded) -> dict[str, object]:
    return {
        "stream_end": stream.reason,
        "stream_code": stream.code,
        "longest_gap_ms": _ms(stream.longest_gap),
    }


_NO_STREAM: Final = {"stream_end": None, "stream_code": "", "longest_gap_ms": None}


@lru_cache(maxsize=2)  # under load many requests end in one millisecond
def _stamp(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds")


def _ms(seconds: float) -> float:
    return seconds * 1e6 // 1 / 1e3
