"""From an outcome to the rows of the ledger: one for the request, one for each attempt."""

from collections.abc import Container

from gateway.core.charge import Charge
from gateway.core.notes import Amounts, Attempted
from gateway.core.outcome import Outcome
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
            id=outcome.id,
            at=wall,
            tenant=outcome.caller.tenant,
            key=outcome.caller.fingerprint,
            policy=outcome.policy,
            endpoint=outcome.endpoint,
            model=outcome.model if outcome.model in served else OTHER,
            status=outcome.status,
            code=outcome.code,
            input=amounts.input,
            output=amounts.output,
            micro_dollars=amounts.micro_dollars,
            counted=charge.counted,
        )
    ]
    payer = _payer(attempts, charge)
    rows += [
        _attempt(outcome, number, wall, amounts if number == payer else Amounts())
        for number in range(1, len(attempts) + 1)
    ]
    return rows


def _payer(attempts: list[Attempted], charge: Charge) -> int:
    """Return the number of the attempt that did what is charged, 0 when none did."""
    work = "unknown" if charge.counted == "reserved" else "done"
    did = [number for number, attempt in enumerate(attempts, 1) if attempt.work == work]
    return did[-1] if did and charge.counted != "nothing" else 0


def _attempt(outcome: Outcome, number: int, wall: float, amounts: Amounts) -> AttemptRow:
    facts = outcome.facts
    attempt, code, ended = facts.attempts[number - 1], "", outcome.ended
    if number < len(facts.attempts) or facts.stream is None:
        ended = attempt.ended
    else:
        code = facts.stream.code
    used = facts.passed or facts.used if amounts.input or amounts.output else None
    return AttemptRow(
        request=outcome.id,
        number=number,
        at=wall - (outcome.ended - ended),
        tenant=outcome.caller.tenant,
        provider=attempt.provider,
        model=attempt.model,
        status=attempt.status,
        code=attempt.code or code,
        input=amounts.input,
        cached=used.usage.cached if used else 0,
        cache_write=used.usage.cache_write if used else 0,
        output=amounts.output,
        micro_dollars=amounts.micro_dollars,
    )
