"""From an outcome to one flat event. Pure, and total over whatever notes a request left."""

from collections.abc import Container
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from gateway.core.notes import Attempted, Notes, StreamEnded, Used
from gateway.core.outcome import Outcome
from gateway.core.reply import Usage

OTHER: Final = "other"
"""Stands for every name that we did not give: a stranger's text is neither logged nor a label."""
_NO_USAGE: Final = Usage()


class Facts(Struct):
    """The notes of one request, read in one pass; the newest of a kind counts."""

    provider: str = ""
    """Who answered or was tried last, else where the request was sent."""
    model: str = ""
    attempts: list[Attempted] = []
    waited: float = 0.0
    """Seconds spent waiting for providers."""
    stream: StreamEnded | None = None
    used: Used | None = None


def gather(notes: Notes) -> Facts:
    """Return what the notes say."""
    facts = Facts()
    for note in notes:
        if isinstance(note, Attempted):
            facts.provider, facts.model = note.provider, note.model
            facts.attempts.append(note)
            facts.waited += note.ended - note.started
        elif isinstance(note, Used):
            facts.used = note
        elif isinstance(note, StreamEnded):
            facts.stream = note
            facts.waited += note.upstream_seconds
        elif not facts.attempts:
            facts.provider, facts.model = note.provider, note.model
    return facts


def fold(outcome: Outcome, wall: float, served: Container[str]) -> dict[str, object]:
    """Return the wide event of a request that ended at `wall` (seconds since 1970).

    `model` is what the caller asked for, or `other` when that is no name in `served`. `detail` and
    `upstream_id` come from outside and still need redaction. Prompts and answers are not part of
    an outcome and so cannot get here.
    """
    facts = gather(outcome.notes)
    stream = facts.stream
    started, first = outcome.started, outcome.first_byte
    total = outcome.ended - started
    waited = min(facts.waited, total)
    return {
        "ts": datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds"),
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
        **_spent(facts.used),
        "bytes_in": outcome.received,
        "bytes_out": outcome.sent,
        "stream_end": stream.reason if stream else None,
        "stream_code": stream.code if stream else "",
        "longest_gap_ms": _ms(stream.longest_gap) if stream else None,
        "dropped": outcome.dropped,
        "upstream_id": outcome.upstream_id,
        "client_retry": outcome.client_retry,
    }


def _spent(used: Used | None) -> dict[str, object]:
    """Return tokens and money; what the provider did not say is null, never 0."""
    usage = used.usage if used else _NO_USAGE
    dollars = used.micro_dollars if used else None
    return {
        "tokens_in": usage.input if used else None,
        "tokens_out": usage.output if used else None,
        "tokens_cached": usage.cached,
        "tokens_cache_write": usage.cache_write,
        "tokens_reasoning": usage.reasoning,
        "cost_usd": None if dollars is None else dollars / 1e6,
    }


def _ms(seconds: float) -> float:
    return int(seconds * 1e6) / 1e3
