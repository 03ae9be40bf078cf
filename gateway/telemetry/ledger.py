"""From an outcome to the rows of the ledger: one for the request, one for each attempt."""

from collections.abc import Container, Sequence
from typing import Final

from gateway.core.charge import NOTHING, Charge
from gateway.core.notes import Attempted
from gateway.core.outcome import Outcome
from gateway.core.reply import Usage
from gateway.core.state import AttemptRow, LedgerRow, RequestRow
from gateway.telemetry.fold import OTHER

_BAD_REQUEST = 400
_NO_USAGE: Final = Usage()


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
    payer = _payer(attempts, charge)
    for number, attempt in enumerate(attempts, 1):
        rows.append(_attempt(outcome, number, attempt, wall, charge if number == payer else None))
    return rows


def _payer(attempts: Sequence[Attempted], charge: Charge) -> int:
    """Return the number of the attempt that did what is charged, 0 when none did."""
    if charge.counted != "nothing":
        work = "unknown" if charge.counted in {"reserved", "estimated"} else "done"
        for number in range(len(attempts), 0, -1):
            if attempts[number - 1].work == work:
                return number
    return 0


def _attempt(
    outcome: Outcome, number: int, attempt: Attempted, wall: float, charge: Charge | None
) -> AttemptRow:
    facts, code, ended = outcome.facts, attempt.code, attempt.ended
    if number == len(facts.attempts) and facts.stream is not None:
        code, ended = code or facts.stream.code, outcome.ended
    usage, amounts = _NO_USAGE, NOTHING
    if charge is not None:
        amounts = charge.amounts
        used = facts.passed or facts.used
        if used is not None and (amounts.input or amounts.output):
            usage = used.usage
    return AttemptRow(
        outcome.id,
        number,
        wall - (outcome.ended - ended),
        outcome.caller.tenant,
        attempt.provider,
        attempt.model,
        attempt.status,
        code,
        amounts.input,
        usage.cached,
        usage.cache_write,
        amounts.output,
        amounts.micro_dollars,
    )
