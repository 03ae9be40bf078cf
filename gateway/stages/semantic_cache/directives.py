"""What a request's own headers ask of the cache."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from gateway.core.errors import BadRequest

CONTROL: Final = "cache-control"
OURS: Final = "x-turnout-cache"
HEADERS: Final = (CONTROL, OURS)
_LONGEST: Final = 10
"""Digits of a number of seconds."""


class Directives(Struct, frozen=True):
    """What may be done for one request. `max_age` is in seconds."""

    read: bool = True
    store: bool = True
    only: bool = False
    """Whether nobody else may be asked."""
    max_age: float | None = None
    reason: str = ""


PLAIN: Final = Directives()
_NEITHER: Final = Directives(read=False, store=False, reason="asked")
_REFRESH: Final = Directives(read=False, reason="refresh")
_OURS: Final = {
    "bypass": _NEITHER,
    "refresh": _REFRESH,
    "only": Directives(store=False, only=True),
}


def directives(headers: Mapping[str, str]) -> Directives:
    """Return what the headers say; `x-turnout-cache` goes first. Raises BadRequest."""
    ours = headers.get(OURS)
    if ours is not None:
        found = _OURS.get(ours.strip().lower())
        if found is None:
            raise BadRequest("'x-turnout-cache' must be bypass, only or refresh.", param=OURS)
        return found
    control = headers.get(CONTROL)
    return PLAIN if control is None else _standard(control)


def _standard(value: str) -> Directives:
    """Read `cache-control` as RFC 9111 says: what is not understood is passed over."""
    said = {part.strip().lower() for part in value.split(",")}
    if "no-store" in said:
        return Directives(read=False, store=False, reason="no-store")
    if "no-cache" in said:
        return Directives(read=False, reason="no-cache")
    found = [_seconds(part) for part in said if part.startswith("max-age=")]
    ages = [age for age in found if age is not None]
    return Directives(max_age=min(ages)) if ages else PLAIN


def _seconds(part: str) -> float | None:
    digits = part.removeprefix("max-age=").strip('"')
    whole = digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST
    return float(digits) if whole else None
