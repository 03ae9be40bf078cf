"""Limits as policies and tenants write them, and what the types cannot say about one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.core.money import in_words
from gateway.core.windows import Each, zone_of

Kind = Literal["requests", "tokens", "input_tokens", "output_tokens", "cost", "concurrent"]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]

KINDS: Final[tuple[Kind, ...]] = (
    *("requests", "tokens", "input_tokens", "output_tokens", "cost", "concurrent"),
)
DIMENSIONS: Final = ("tenant", "key", "user", "model", "ip")
LABEL: Final = "label:"
MICRO: Final = 1_000_000
"""Micro-dollars in a dollar."""
LONGEST: Final = 366 * 86_400.0
_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_LABEL: Final = re.compile(r"label:[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class LimitRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One limit. Exactly one amount, and over what time it is meant; `concurrent` has no time."""

    requests: Annotated[Count | None, Meta(description="So many requests.")] = None
    tokens: Annotated[
        Count | None, Meta(description="So many tokens, input and output together.")
    ] = None
    input_tokens: Annotated[Count | None, Meta(description="So many input tokens.")] = None
    output_tokens: Annotated[Count | None, Meta(description="So many output tokens.")] = None
    cost: Annotated[
        Annotated[float, Meta(gt=0, le=100_000_000)] | None, Meta(description="So many dollars.")
    ] = None
    concurrent: Annotated[Count | None, Meta(description="So many requests at the same time.")] = (
        None
    )
    every: Annotated[
        Annotated[float, Meta(gt=0)] | str | None,
        Meta(
            description="A rate: what was used comes back evenly over this time. Seconds, or `10s`,"
            " `1m`, `2h`, `1d`."
        ),
    ] = None
    each: Annotated[
        Each | None,
        Meta(description="A budget: it is new each hour, day or month of the calendar."),
    ] = None
    zone: Annotated[
        str, Meta(description="The time zone of `each`, such as Europe/Berlin. Left out: UTC.")
    ] = ""
    burst: Annotated[
        Count | None,
        Meta(description="How much of a rate may be used at once. Left out: all of it."),
    ] = None
    per: Annotated[
        tuple[str, ...],
        Meta(
            description="Who or what has a count of its own: `tenant`, `key`, `user`, `model`,"
            " `ip`, `label:NAME`, also several. Left out: `tenant`. Empty: one count for all."
        ),
    ] = ("tenant",)
    name: Annotated[
        str,
        Meta(
            max_length=64,
            description="What messages and metrics call it. Left out: what it says.",
        ),
    ] = ""

    @property
    def kind(self) -> Kind:
        """What it counts."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def amount(self) -> int:
        """How much of it, in whole units: requests, tokens, micro-dollars."""
        kind = self.kind
        given = getattr(self, kind)
        return max(1, round(given * MICRO)) if kind == "cost" else int(given)

    @property
    def capacity(self) -> int:
        """The most that a single request can ever get of it."""
        return self.amount if self.burst is None else self.burst

    @property
    def period(self) -> float:
        """Seconds of a rate."""
        return seconds_of(self.every) if self.every is not None else 0.0

    def time(self) -> str:
        """Return over what time it counts, in words: `every 1m`, `each day in UTC`, `at once`."""
        if self.each is not None:
            return f"each {self.each} in {self.zone}" if self.zone else f"each {self.each}"
        if self.every is None:
            return "at once"
        return f"every {self.every if isinstance(self.every, str) else f'{self.every:g}s'}"

    def says(self) -> str:
        """Return it in words: `60 requests per tenant every 1m`."""
        kind = self.kind
        given = f"{self.amount} {kind.replace('_', ' ')}"
        if kind == "cost":
            given = in_words(self.amount)
        if kind == "concurrent":
            given = f"{self.amount} requests"
        whose = f" per {' and '.join(self.per)}" if self.per else ""
        return f"{given}{whose} {self.time()}"

    def title(self) -> str:
        """Return what people call it."""
        return self.name or self.says()

    def identity(self) -> tuple[str, ...]:
        """Return what its count goes by: with another amount it is still the same limit."""
        when = f"{self.period:g}s" if self.every is not None else f"{self.each}{self.zone}"
        return (self.name, self.kind, when, *sorted(self.per))


def seconds_of(duration: float | str) -> float:
    """Return a duration in seconds. Raises ValueError unless it is one, of at most a year."""
    if isinstance(duration, str):
        found = _DURATION.fullmatch(duration)
        if found is None:
            raise ValueError("this must be seconds, or a duration such as `10s`, `1m`, `2h`, `1d`")
        duration = float(int(found[1]) * _SECONDS[found[2]])
    if not 0 < duration <= LONGEST:
        raise ValueError("this must be above 0 and at most a year")
    return duration


Wrong = tuple[tuple[str | int, ...], str]
"""Where below a list of limits, and what."""


def check_limits(limits: Sequence[LimitRule]) -> Iterator[Wrong]:
    """Yield what is wrong."""
    seen: dict[tuple[str, ...], int] = {}
    for index, rule in enumerate(limits):
        problems = [*([*_amounts(rule)] or _times(rule)), *_whose(rule)]
        yield from (((index, *path), what) for path, what in problems)
        if problems:
            continue
        first = seen.setdefault(rule.identity(), index)
        if first != index:
            cure = f"give it {'another' if rule.name else 'a'} `name`"
            what = f"counts the same as `limits[{first}]`. Take one out, or {cure}."
            yield (index,), what


def _amounts(rule: LimitRule) -> Iterator[Wrong]:
    given = [kind for kind in KINDS if getattr(rule, kind) is not None]
    if len(given) != 1:
        found = f"not {' and '.join(given)}" if given else "and there is none"
        yield (), f"a limit has exactly one of {', '.join(KINDS)}, {found}."


def _times(rule: LimitRule) -> Iterator[Wrong]:
    if rule.kind == "concurrent":
        for field in ("every", "each", "burst", "zone"):
            if getattr(rule, field):
                yield (field,), "`concurrent` counts what is open now: it has no time."
        return
    if (rule.every is None) == (rule.each is None):
        yield (), "write either `every` (a rate) or `each` (a budget of the calendar)."
        return
    if rule.every is not None:
        try:
            seconds_of(rule.every)
        except ValueError as error:
            yield ("every",), f"{error}."
        if rule.zone:
            yield ("zone",), "a rate has no calendar: `zone` goes with `each`."
        return
    if rule.burst is not None:
        yield ("burst",), "a budget may be used at once anyway: `burst` goes with `every`."
    try:
        zone_of(rule.zone or "UTC")
    except ValueError as error:
        yield ("zone",), f"{error}. Write one such as Europe/Berlin."


def _whose(rule: LimitRule) -> Iterator[Wrong]:
    for index, dimension in enumerate(rule.per):
        if dimension not in DIMENSIONS and not _LABEL.fullmatch(dimension):
            known = ", ".join(f"`{name}`" for name in (*DIMENSIONS, "label:NAME"))
            yield ("per", index), f"there is no such dimension. Known: {known}."
        elif dimension in rule.per[:index]:
            yield ("per", index), "is there already."
