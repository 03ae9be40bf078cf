"""What a caller is told whose request a limit refused: which limit, and when to come back."""

from math import ceil, inf
from random import Random
from typing import Final

from gateway.core.errors import LimitReached
from gateway.core.limits import MICRO
from gateway.core.state import SOON
from gateway.stages.limit_meters import Meter

LONGEST: Final = 60.0
"""Seconds; who would have to wait for longer is told not to try again by itself."""
JITTER: Final = 0.4
"""So much longer than it is a wait may be told, so that who was refused together comes back apart.

Never shorter: a caller who comes too early is refused again, and SDKs try twice only.
"""
_AWAY: Final = 10.0
_HOUR: Final = 3600


def refusal(meter: Meter, amount: int, wait: float, now: float, random: Random) -> LimitReached:
    """Return the error for a request that asked for `amount` and may come again in `wait` seconds.

    `now` is the limiter's time. A wait is told as it is, or longer by up to two fifths.
    """
    if amount > meter.capacity:
        needs, has = _shown(meter, amount), _shown(meter, meter.capacity)
        return _error(
            meter,
            f"This request may need {needs}, and the limit `{meter.title}` never has more than"
            f" {has}. Send less, or ask for less output.",
        )
    if wait == inf:  # only while the store is away, which then has a part of every budget
        wait = _AWAY
    # Requests under way stay counted when they end, so there is nothing to wait for.
    if meter.rule.each is not None and (wait > SOON or meter.kind == "requests"):
        asked = "" if meter.kind == "requests" else f" for the {_shown(meter, amount)} asked for"
        return _error(
            meter,
            f"The budget `{meter.title}` has no room left{asked}. It is new at {meter.ends(now)}.",
        )
    if wait > LONGEST:
        return _error(meter, f"The limit `{meter.title}` is reached. Try again in {_long(wait)}.")
    told = min(LONGEST, wait * (1 + JITTER * random.random()))
    if meter.rule.each is not None:
        what = f"Requests under way hold the rest of the budget `{meter.title}`."
    else:
        what = f"The limit `{meter.title}` is reached."
    error = _error(meter, f"{what} Try again in {ceil(told)} s.")
    error.retry_after = told
    return error


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
        return f"${amount / MICRO:g}"
    return f"{amount} {meter.kind.replace('_', ' ')}"


def _long(seconds: float) -> str:
    if seconds <= 1.5 * _HOUR:
        return f"{ceil(seconds / 60)} minutes"
    return f"{ceil(seconds / _HOUR)} hours"
