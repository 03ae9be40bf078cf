"""Limit rules made ready: what of a request each goes by, and how much of it a request needs."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from gateway.core.exchange import Exchange
from gateway.core.limits import LABEL, Kind, LimitRule
from gateway.core.money import Rates, at_most
from gateway.core.notes import Family
from gateway.core.state import Budget, Limit, Rate, Slots
from gateway.core.windows import Calendar

Part = Callable[[Exchange, str], str]
"""Returns what a dimension of a request is; it is given the model's name in the catalogue."""

LONGEST: Final = 64
_APART: Final = frozenset({"tenant", "key", "user", "ip"})
_FAMILIES: Final[dict[Kind, Family]] = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input-tokens",
    "output_tokens": "output-tokens",
    "cost": "",
    "concurrent": "",
}
_COUNTS: Final[dict[Kind, int]] = {
    "tokens": 0,
    "input_tokens": 1,
    "output_tokens": 2,
    "cost": 3,
}


class Demand(Struct, gc=False):
    """What a request may use. `most` bounds its output; when `stated` is false it is learned."""

    input: int
    most: int
    likely: int
    """`most`, or what nine of ten answers of its kind stay within, whichever is less."""
    stated: bool
    rates: Rates
    """The dearest price that it may come to."""
    micro_dollars: int
    """What `input` and `most` come to at that price."""


class Meter:
    """One limit as it counts one tenant's requests. Its key says whose count it is.

    What clients name freely (user, address) is a part of their tenant's key, so that tenants never
    share such a count. A limit that goes by no tenant otherwise is shared by all, on purpose. The
    key does not say how much the limit is: a count outlives a reload.
    """

    __slots__ = (
        *("_amount", "_calendar", "_constant", "_key", "_parts", "_period", "_same", "capacity"),
        *("counts", "enforce", "family", "kind", "measured", "rule", "title"),
    )

    def __init__(
        self, rule: LimitRule, tenant: str, *, policy: str | None, enforce: bool = True
    ) -> None:
        """`policy` is whose limit it is; None means that it is the tenant's own."""
        self.rule = rule
        self.kind = rule.kind
        self.title = rule.title()
        self.capacity = rule.capacity
        self.enforce = enforce
        self.measured = rule.kind not in {"requests", "concurrent"}
        """Whether a request's end tells how much of it was used."""
        self.counts = _COUNTS.get(rule.kind, -1)
        """Which of (tokens, input, output, micro-dollars) it is; -1 when it is none of these."""
        self._amount, self._period = rule.amount, rule.period
        apart = policy is None or not _APART.isdisjoint(rule.per)
        self.family: Family = _FAMILIES[rule.kind] if apart and enforce else ""
        self._calendar = Calendar(rule.each, rule.zone or "UTC") if rule.each else None
        scope = "tenant" if policy is None else f"policy {policy}"
        self._key = joined((scope, *rule.identity(), *((tenant,) if apart else ())))
        self._parts = tuple(_parts_of(rule.per))
        self._constant = not (self._parts or self.measured or self._calendar)
        """Whether every request meets the same limit; `_same` is that one, once it was made."""
        self._same: Limit | None = None

    def limit(self, exchange: Exchange, model: str, demand: Demand, now: float) -> Limit:
        """Return the limit as it meets this request at the epoch time `now`."""
        if self._same is not None:
            return self._same
        key = self._key
        if self._parts:
            for part in self._parts:
                value = part(exchange, model)
                key += f"{len(value)}:{value}"
        amount = self.amount(demand) if self.measured else 1
        if self._calendar is not None:
            window = self._calendar.at(now)
            return Budget(f"{key}@{window.name}", amount, self._amount, window.ends, self.enforce)
        limit: Limit
        if self._period:
            limit = Rate(key, amount, self._amount, self._period, self.capacity, self.enforce)
        else:
            limit = Slots(key, amount, self._amount, self.enforce)
        if self._constant:
            self._same = limit
        return limit

    def amount(self, demand: Demand) -> int:
        """Return what to reserve of tokens or money; a guess asks for no more than there is."""
        kind = self.kind
        if kind == "cost":
            if demand.stated or demand.micro_dollars <= self.capacity:
                return demand.micro_dollars
            return max(at_most(demand.rates, demand.input, 0), self.capacity)
        if kind == "input_tokens":
            return demand.input
        certain, rate = demand.input if kind == "tokens" else 0, self._calendar is None
        whole = certain + (demand.likely if rate else demand.most)
        if whole > self.capacity and (rate or not demand.stated):
            return max(certain, self.capacity)
        return whole

    def ends(self, now: float) -> str:
        """Return when its window is over, as people of its time zone write it."""
        return "" if self._calendar is None else self._calendar.moment(self._calendar.at(now).ends)


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
