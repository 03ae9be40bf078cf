"""From an outcome to one flat event. Pure, and total over whatever notes a request left."""

from collections.abc import Container
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway.core.outcome import Outcome
from gateway.core.reply import Usage

OTHER: Final = "other"
"""Stands for every name that we did not give: a stranger's text is neither logged nor a label."""
_NO_USAGE: Final = Usage()


def fold(outcome: Outcome, wall: float, served: Container[str]) -> dict[str, object]:
    """Return the wide event of a request that ended at `wall` (seconds since 1970).

    `model` is what the caller asked for, or `other` when that is no name in `served`. `detail` and
    `upstream_id` come from outside and still need redaction. Prompts and answers are not part of
    an outcome and so cannot get here.
    """
    facts = outcome.facts
    stream, used = facts.stream, facts.used
    usage = used.usage if used else _NO_USAGE
    price = used.micro_dollars if used else None
    started, first = outcome.started, outcome.first_byte
    total = outcome.ended - started
    waited = min(facts.waited, total)
    return {
        "ts": f"{_second(int(wall))}.{int(wall % 1 * 1000):03}+00:00",
        "request_id": outcome.id,
        "endpoint": outcome.endpoint,
        "tenant": outcome.caller.tenant,
        "key": outcome.caller.fingerprint,
        "client": outcome.address,
        "policy": outcome.policy,
        "model": outcome.model if outcome.model in served else OTHER,
        "answered_by": facts.provider,
        "answered_model": facts.model,
        "status": outcome.status,
        "code": outcome.code,
        "fault": outcome.fault,
        "detail": outcome.detail,
        "stream": outcome.stream,
        "duration_ms": _ms(total),
        "ttft_ms": None if first is None else _ms(first - started),
        "overhead_ms": _ms(total - waited),
        "upstream_ms": _ms(waited),
        "attempts": len(facts.attempts),
        "stages": tuple(f"{v.stage}: {v.verdict}" for v in facts.verdicts),
        # What the provider did not say is null, never 0.
        "tokens_in": usage.input if used else None,
        "tokens_out": usage.output if used else None,
        "tokens_cached": usage.cached,
        "tokens_cache_write": usage.cache_write,
        "tokens_reasoning": usage.reasoning,
        "cost_usd": None if price is None else price / 1e6,
        "bytes_in": outcome.received,
        "bytes_out": outcome.sent,
        "stream_end": stream.reason if stream else None,
        "stream_code": stream.code if stream else "",
        "longest_gap_ms": _ms(stream.longest_gap) if stream else None,
        "dropped": outcome.dropped,
        "upstream_id": outcome.upstream_id,
        "client_retry": outcome.client_retry,
    }


@lru_cache(maxsize=2)
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat()[:19]


def _ms(seconds: float) -> float:
    return int(seconds * 1e6) / 1e3
