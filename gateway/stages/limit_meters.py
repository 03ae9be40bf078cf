"""Limit rules made ready: what of a request each goes by, and how much of it a request needs."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from math import inf
from operator import gt, itemgetter
from typing import Any, Final, TypeAlias

from msgspec import Struct

from gateway.core.catalogue import Model
from gateway.core.exchange import Caller, Exchange
from gateway.core.limits import LABEL, Kind, LimitRule
from gateway.core.money import Rates, at_most
from gateway.core.notes import Demand, Family
from gateway.core.state import Budget, Limit, Rate, Slots
from gateway.core.windows import Calendar

Part = Callable[[Exchange, str], str]
"""Returns what a dimension of a request is; it is given the model's name in the catalogue."""

LONGEST: Final = 64
MOST_MADE: Final = 1024
"""Users, keys, models or addresses of one tenant whose limits are kept ready."""
_APART: Final = frozenset({"tenant", "key", "user", "ip"})
_FAMILIES: Final[dict[Kind, Family]] = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input-tokens",
    "output_tokens": "output-tokens",
}
_UNITS: Final[dict[Kind, int]] = {
    "requests": 0,
    "concurrent": 0,
    "input_tokens": 1,
    "tokens": 2,
    "output_tokens": 4,
    "cost": 6,
}
_LIKELY: Final = frozenset({"tokens", "output_tokens"})
_NO_OUTPUT: Final = frozenset({"requests", "concurrent", "input_tokens"})


Units: TypeAlias = tuple[int, int, int, int, int, int, int]
"""What a request comes to in every unit that a limit can count, by `Meter.unit`."""


def units_of(demand: Demand) -> Units:
    """Return what a request may use at most, or is likely to."""
    brought, most, likely = demand.input, demand.output, demand.likely
    money = demand.micro_dollars or 0
    return (1, brought, brought + likely, brought + most, likely, most, money)


class Meter:
    """One limit as it counts one tenant's requests. Its key says whose count it is.

    What clients name freely (user, address) is a part of their tenant's key, so that tenants never
    share such a count. A limit that goes by no tenant otherwise is shared by all, on purpose. The
    key does not say how much the limit is: a count outlives a reload.
    """

    __slots__ = (
        *("calendar", "capacity", "enforce", "family", "key", "kind", "measured", "own", "parts"),
        *("rule", "title", "unit"),
    )

    def __init__(
        self, rule: LimitRule, tenant: str, *, policy: str | None, enforce: bool = True
    ) -> None:
        """`policy` is whose limit it is; None means that it is the tenant's own."""
        self.rule = rule
        self.own = policy is None
        self.kind = rule.kind
        self.title = rule.title()
        self.capacity = rule.capacity
        self.enforce = enforce
        self.measured = rule.kind not in {"requests", "concurrent"}
        """Whether a request's end tells how much of it was used."""
        self.unit = _UNITS[rule.kind] + (rule.kind in _LIKELY and rule.each is not None)
        """Which of `units` it counts: a rate what is likely, a budget what is possible."""
        apart = policy is None or not _APART.isdisjoint(rule.per)
        self.family = _FAMILIES.get(rule.kind) if apart and enforce else None
        self.calendar = Calendar(rule.each, rule.zone or "UTC") if rule.each else None
        scope = "tenant" if policy is None else f"policy {policy}"
        self.key = joined((scope, *rule.identity(), *((tenant,) if apart else ())))
        """Whose count it is, as far as that is the same for all of the tenant's requests."""
        self.parts = tuple(_parts_of(rule.per))

    def limit(self, whose: Iterable[str], now: float) -> Limit:
        """Return the limit as it meets whoever has these parts, at the epoch time `now`."""
        rule, size = self.rule, self.rule.amount
        key = self.key + joined(whose)
        if self.calendar is not None:
            window = self.calendar.at(now)
            return Budget(f"{key}@{window.name}", size, window.ends, self.enforce)
        if rule.period:
            return Rate(key, self.capacity, size / rule.period, self.enforce)
        return Slots(key, size, self.enforce)

    def amount(self, demand: Demand) -> int:
        """Return what to reserve; a guess asks for no more than there is."""
        needed = units_of(demand)[self.unit]
        if self.certain(demand) or needed <= self.capacity:
            return needed
        return max(self.least(demand), self.capacity)

    def certain(self, demand: Demand) -> bool:
        """Whether what a request needs of it is no guess, as far as its output goes."""
        if self.kind in _LIKELY and self.calendar is None:
            return False
        return demand.stated or self.kind in _NO_OUTPUT

    def least(self, demand: Demand) -> int:
        """Return what a request needs of it without any output."""
        brought = demand.input
        return (1, brought, brought, brought, 0, 0, at_most(demand.rates, brought, 0))[self.unit]

    def ends(self, now: float) -> str:
        """Return when its window is over, as people of its time zone write it."""
        return "" if self.calendar is None else self.calendar.moment(self.calendar.at(now).ends)


def meters_of(
    rules: Iterable[LimitRule], caller: Caller, policy: str, *, enforce: bool = True
) -> Sequence[Meter]:
    """Return what counts a tenant's requests: these rules of its policy, and its own."""
    tenant = caller.tenant
    return [
        *(Meter(rule, tenant, policy=policy, enforce=enforce) for rule in rules),
        *(Meter(rule, tenant, policy=None, enforce=enforce) for rule in caller.limits),
    ]


class Alike(Struct, frozen=True):
    """What is the same for all of a tenant's requests for a model at an endpoint."""

    name: tuple[str, str, str, str]
    """Tenant, policy, endpoint and model: whose answers are alike."""
    model: Model
    rates: Rates
    """The dearest price that it may come to."""


Made: TypeAlias = tuple[tuple[Limit, ...], float, float]
"""Limits, and from when until when they are good."""
_NEVER: Final[Made] = ((), inf, -inf)


class Meters:
    """Every limit of one tenant's requests, with all that is the same for many of them."""

    __slots__ = (
        *("_capacities", "made", "_parts", "_pick", "each", "families", "measured", "money"),
        *("_ones", "alike", "waits"),
    )

    def __init__(self, each: Sequence[Meter], *, waits: bool = False) -> None:
        """Make them ready; `waits` says whether a request waits that one has no room for."""
        self.each = tuple(each)
        self.waits = waits
        self.money = any(meter.kind == "cost" for meter in each)
        self.measured = any(meter.measured for meter in each)
        """Whether the end of a request tells how much of anything was used."""
        named = [(meter.family, index) for index, meter in enumerate(each)]
        self.families = tuple([(family, index) for family, index in named if family is not None])
        """The limits that callers are told of, each with its name."""
        self._pick: Callable[[Units], Sequence[int]] = _picking([meter.unit for meter in each])
        self._capacities = tuple(meter.capacity for meter in each)
        self._ones = [1] * len(each)
        self.alike: dict[tuple[str, str], Alike] = {}
        """By the model's name or alias, which are the catalogue's, and the endpoint."""
        self._parts = tuple(dict.fromkeys(part for meter in each for part in meter.parts))
        self.made: dict[tuple[str, ...], Made] = {}
        """Limits that are ready, by user, key and so on."""

    def limits(self, exchange: Exchange, model: str, now: float) -> tuple[Limit, ...]:
        """Return the limits as they meet this request at the epoch time `now`."""
        whose: tuple[str, ...] = ()
        if self._parts:
            whose = tuple([part(exchange, model) for part in self._parts])
        limits, starts, ends = self.made.get(whose, _NEVER)
        if not starts <= now < ends:
            return self._make(whose, exchange, model, now)
        return limits

    def amounts(self, demand: Demand | None) -> list[int]:
        """Return how much of each to reserve; without a demand none of them is measured."""
        if demand is None:
            return self._ones.copy()
        amounts = list(self._pick(units_of(demand)))
        if any(map(gt, amounts, self._capacities)):
            return [meter.amount(demand) for meter in self.each]
        return amounts

    def used(self, brought: int, answer: int, money: int) -> Sequence[int]:
        """Return what a request has used of each."""
        total = brought + answer
        return self._pick((1, brought, total, total, answer, answer, money))

    def titles(self, indexes: Iterable[int]) -> tuple[str, ...]:
        """Return what people call these."""
        return tuple([self.each[index].title for index in indexes])

    def _make(
        self, whose: tuple[str, ...], exchange: Exchange, model: str, now: float
    ) -> tuple[Limit, ...]:
        windows = [meter.calendar.at(now) for meter in self.each if meter.calendar is not None]
        if len(self.made) >= MOST_MADE:
            del self.made[next(iter(self.made))]
        limits = tuple(
            [
                meter.limit([part(exchange, model) for part in meter.parts], now)
                for meter in self.each
            ]
        )
        starts = max((window.starts for window in windows), default=-inf)
        ends = min((window.ends for window in windows), default=inf)
        self.made[whose] = limits, starts, ends
        return limits


def _picking(indexes: Sequence[int]) -> Callable[[Units], Sequence[int]]:
    """Return what picks these of a request's units, in one call."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda units: [units[index] for index in indexes]


def joined(parts: Iterable[str]) -> str:
    """Return the parts in one text, in which none can look like another's."""
    return "".join(f"{len(part)}:{part}" for part in parts)


def bounded(value: str) -> str:
    """Return a stranger's text, or a digest of what is long or cannot be seen."""
    if len(value) <= LONGEST and value.isascii() and value.isprintable() and value[:1] != "#":
        return value
    return f"#{sha256(value.encode()).hexdigest()[:32]}"


def user_of(fields: Any) -> str:  # noqa: ANN401 - a request's JSON
    """Return whom a request says it is for: OpenAI's `user`, Anthropic's `metadata.user_id`."""
    user = fields.get("user")
    if user is None:
        metadata = fields.get("metadata")
        if isinstance(metadata, dict):
            user = metadata.get("user_id", metadata.get("user"))
    return bounded(user) if isinstance(user, str) and user else ""


def _parts_of(per: Iterable[str]) -> Iterable[Part]:
    for dimension in sorted(per):
        if dimension.startswith(LABEL):
            yield _label(dimension.removeprefix(LABEL))
        elif dimension != "tenant":
            yield _PARTS[dimension]


def _label(name: str) -> Part:
    return lambda exchange, _model: exchange.caller.labels.get(name, "")


_PARTS: Final[dict[str, Part]] = {
    "key": lambda exchange, _model: exchange.caller.key or exchange.caller.fingerprint,
    "user": lambda exchange, _model: user_of(exchange.request.fields),
    "model": lambda _exchange, model: model,
    "ip": lambda exchange, _model: exchange.address,
}
