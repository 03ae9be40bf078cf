"""From an outcome to the rows of the ledger: one for the request, one for each attempt."""

from collections.abc import Container

from gateway.core.charge import Charge, shares_of
from gateway.core.notes import Attempted, Used
from gateway.core.outcome import Facts, Outcome
from gateway.core.state import AttemptRow, LedgerRow, RequestRow
from gateway.telemetry.fold import OTHER

_BAD_REQUEST = 400


def rows_of(
    outcome: Outcome, charge: Charge, wall: float, served: Container[str]
) -> list[LedgerRow]:
    """Return the rows of a request that ended at `wall` (seconds since 1970).

    A request that was refused before any provider was asked used nothing and has none.
    """
    attempts = outcome.facts.attempts
    if not outcome.policy or (not attempts and outcome.status >= _BAD_REQUEST):
        return []
    amounts = charge.amounts
    rows: list[LedgerRow] = [
        RequestRow(
            outcome.id,
            wall,
            outcome.caller.tenant,
            outcome.caller.fingerprint,
            outcome.policy,
            outcome.endpoint,
            outcome.model if outcome.model in served else OTHER,
            outcome.status,
            outcome.code,
            amounts.input,
            amounts.output,
            amounts.micro_dollars,
            charge.counted,
        )
    ]
    for number, share in enumerate(shares_of(outcome.facts)):
        rows.append(_attempt(outcome, number + 1, attempts[number], wall, share))
    return rows


def _streamed(facts: Facts) -> Attempted | None:
    """Return the attempt that the stream came from; whoever lost a race to it ends behind it."""
    began = [attempt for attempt in facts.attempts if not attempt.code]
    return began[-1] if began else None


def _attempt(
    outcome: Outcome, number: int, attempt: Attempted, wall: float, share: Used
) -> AttemptRow:
    stream, code, ended = outcome.facts.stream, attempt.code, attempt.ended
    if stream is not None and attempt is _streamed(outcome.facts):
        code, ended = stream.code, outcome.ended
    usage = share.usage
    return AttemptRow(
        outcome.id,
        number,
        wall - (outcome.ended - ended),
        outcome.caller.tenant,
        attempt.provider,
        attempt.model,
        attempt.status,
        code,
        usage.input,
        usage.cached,
        usage.cache_write,
        usage.output,
        share.micro_dollars,
    )
