"""What a caller is told whose request a limit refused: which limit, and when to come back."""

from math import ceil
from random import Random
from typing import Final

from gateway.core.errors import LimitReached
from gateway.core.limits import MICRO
from gateway.core.money import in_words
from gateway.core.notes import Demand
from gateway.core.state import SOON, Refused
from gateway.stages.limit_meters import Meter

LONGEST: Final = 60.0
"""Seconds; who would have to wait for longer is told not to try again by itself."""
JITTER: Final = 0.4
"""So much longer than it is a wait may be told, so that who was refused together comes back apart.

Never shorter: a caller who comes too early is refused again, and SDKs try twice only.
"""
_HOUR: Final = 3600


def refusal(
    meter: Meter, demand: Demand | None, refused: Refused, now: float, random: Random
) -> LimitReached:
    """Return the error for a request that a limit refused.

    `now` is the limiter's time. A wait is told as it is, or longer by up to two fifths.
    """
    amount, wait = 1 if demand is None else meter.amount(demand), refused.retry_after
    told = min(LONGEST, wait * (1 + JITTER * random.random()))
    if amount > meter.capacity:
        needs, has = _shown(meter, amount), _shown(meter, meter.capacity)
        return _error(
            meter,
            f"This request may need {needs}, and the limit `{meter.title}` never has more than"
            f" {has}. Send less, or ask for less output.",
        )
    if refused.alone:
        error = LimitReached(
            "The store of limits cannot be reached, and what may be admitted without it of the"
            f" budget `{meter.title}` is spent. Try again in {ceil(told)} s."
        )
        error.retry_after = told
        return error
    guess = _guess(meter, demand, refused) if estimated(meter, demand) else ""
    # Requests under way stay counted when they end, so there is nothing to wait for.
    if meter.rule.each is not None and (wait > SOON or meter.kind == "requests"):
        asked = "" if meter.kind == "requests" else f" for the {_shown(meter, amount)} asked for"
        return _error(
            meter,
            f"The budget `{meter.title}` has no room left{asked}.{guess} It is new at"
            f" {meter.ends(now)}.",
        )
    if wait > LONGEST:
        text = f"The limit `{meter.title}` is reached.{guess} Try again in {_long(wait)}."
        return _error(meter, text)
    if meter.rule.each is not None:
        what = f"Requests under way hold the rest of the budget `{meter.title}`."
    else:
        what = f"The limit `{meter.title}` is reached."
    error = _error(meter, f"{what}{guess} Try again in {ceil(told)} s.")
    error.retry_after = told
    return error


def estimated(meter: Meter, demand: Demand | None) -> bool:
    """Whether a request would ask for less of this limit if it stated a limit of its output."""
    if demand is None or demand.stated:
        return False
    return meter.least(demand) < meter.amount(demand)


def _guess(meter: Meter, demand: Demand | None, refused: Refused) -> str:
    """Return what a caller can do whose output had to be guessed."""
    said = " That is estimated, as the request states no `max_tokens`"
    if demand is None or len(refused.exceeded) != 1:
        return f"{said}."
    _, left, _ = refused.status(refused.exceeded[0])
    room = left - meter.least(demand)
    if meter.kind == "cost":
        room = room * MICRO // max(1, demand.rates[1])
    return f"{said}; one of {room} tokens fits." if room > 0 else f"{said}."


def _error(meter: Meter, text: str) -> LimitReached:
    if meter.rule.each is not None:
        error = LimitReached(text, code="budget_exceeded")
        error.kind = "insufficient_quota"
        return error
    error = LimitReached(text)
    if meter.kind.endswith("tokens"):
        error.kind = "tokens"
    return error


def _shown(meter: Meter, amount: int) -> str:
    if meter.kind == "cost":
        return in_words(amount)
    return f"{amount} {meter.kind.replace('_', ' ')}"


def _long(seconds: float) -> str:
    if seconds <= 1.5 * _HOUR:
        return f"{ceil(seconds / 60)} minutes"
    return f"{ceil(seconds / _HOUR)} hours"
