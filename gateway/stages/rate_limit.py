"""Limits: what a request may use is reserved before it goes on, and settled when it is over."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core.catalogue import Model, Price
from gateway.core.charge import Charge, amounts_of, charge_of
from gateway.core.chat import ALWAYS_WHOLE
from gateway.core.errors import Forbidden, StateUnavailable
from gateway.core.estimate import expected_output, input_tokens, output_limit
from gateway.core.exchange import Exchange
from gateway.core.limits import LimitRule, check_limits
from gateway.core.money import Rates, at_most, cost, dearest
from gateway.core.notes import Amounts, Family, Limited, Used, Verdict
from gateway.core.outcome import gather
from gateway.core.ports import Tools
from gateway.core.reply import Reply, Stream, Usage, when_over
from gateway.core.stage import Next, Stage
from gateway.core.state import MAX_AMOUNT, Admitted, Lease, Refused, Reserve
from gateway.stages.base import StagePolicy
from gateway.stages.limit_checks import check_passable, check_prices, check_use
from gateway.stages.limit_meters import Demand, Meter
from gateway.stages.limit_refusals import refusal
from gateway.stages.names import Names, Problem

STAGE: Final = "rate_limit"
ADMITTED: Final = Verdict(STAGE, "admitted")
REFUSED: Final = Verdict(STAGE, "refused")
OBSERVED: Final = Verdict(STAGE, "observed")
UNLIMITED: Final = Verdict(STAGE, "unlimited")
UNCOUNTED: Final = Verdict(STAGE, "uncounted")


class RateLimitPolicy(StagePolicy, frozen=True, tag="rate_limit", kw_only=True):
    """Count requests, tokens and money, and refuse with 429 what exceeds a limit.

    The tenant's own limits, from tenants.yaml, are counted here too.
    """

    limits: Annotated[
        tuple[LimitRule, ...], Meta(description="All of them must have room for a request.")
    ] = ()
    enforce: Annotated[
        bool,
        Meta(description="false: count, log and report what would be refused, refuse nothing."),
    ] = True
    default_price: Annotated[
        Price | None,
        Meta(
            description="For models without a price. Left out: limits in dollars refuse such a"
            " model."
        ),
    ] = None

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield limits that make no sense, alone or with these models and tenants."""
        problems = list(check_limits(self.limits))
        yield from (Problem(("limits", *path), what) for path, what in problems)
        if problems:
            return
        yield from check_use(self.limits, names)
        yield from check_passable(self.limits, self.default_price, names)
        yield from check_prices(self.limits, self.default_price, self.when, names)

    def build(self, tools: Tools) -> Stage:
        """Return the stage that counts."""
        return RateLimit(self, tools)


class _Known(Struct, frozen=True):
    """What counts for one tenant."""

    meters: tuple[Meter, ...]
    families: tuple[Family, ...]
    titles: tuple[str, ...]
    money: bool
    measured: bool


class RateLimit:
    """Reserves, and settles in every way that a request can end."""

    def __init__(self, policy: RateLimitPolicy, tools: Tools) -> None:
        self.limiter = tools.state.limiter
        self.history = tools.history
        self.now = tools.runtime.clock.monotonic
        self.default_price = policy.default_price
        self.rates = {
            name: dearest(price)
            for name, model in tools.catalogue.models.items()
            if (price := model.price or policy.default_price) is not None
        }
        self._rules = policy.limits
        self._enforce = policy.enforce
        self._catalogue = tools.catalogue
        self._random = tools.runtime.random
        self._known: dict[str, _Known] = {}

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Let the request on when all limits have room. Raises LimitReached, StateUnavailable."""
        known = self._known.get(exchange.caller.tenant) or self._know(exchange)
        if not known.meters:
            exchange.notes.add(UNLIMITED)
            return await proceed(exchange)
        models = self._targets(exchange)
        kind = (exchange.caller.tenant, exchange.policy, exchange.request.endpoint, models[0].name)
        demand = self._demand(exchange, models, known, self.history.high(kind))
        hold = await self._reserve(exchange, known, kind, demand)
        if hold is None:
            exchange.notes.add(UNCOUNTED)
            return await proceed(exchange)
        try:
            reply = await proceed(exchange)
        except BaseException:
            hold.failed()
            raise
        if isinstance(reply, Stream):
            hold.lower(reply.answered.model)
            return when_over(reply, hold.settle, self.now)
        hold.settle()
        return reply

    def _know(self, exchange: Exchange) -> _Known:
        caller, enforce, policy = exchange.caller, self._enforce, exchange.policy
        meters = (
            *(Meter(x, caller.tenant, policy=policy, enforce=enforce) for x in self._rules),
            *(Meter(x, caller.tenant, policy=None, enforce=enforce) for x in caller.limits),
        )
        known = self._known[caller.tenant] = _Known(
            meters=meters,
            families=tuple(meter.family for meter in meters),
            titles=tuple(meter.title for meter in meters),
            money=any(meter.kind == "cost" for meter in meters),
            measured=any(meter.measured for meter in meters),
        )
        return known

    def _targets(self, exchange: Exchange) -> Sequence[Model]:
        """Return the models that may be asked. Raises UnknownModel."""
        if exchange.route is not None:
            return [target.model for target in exchange.route.targets]
        return (self._catalogue.find(exchange.request.model).model,)

    def _demand(
        self, exchange: Exchange, models: Sequence[Model], known: _Known, learned: int
    ) -> Demand:
        """Return what the request may use. Raises Forbidden when that has no price."""
        if not known.measured:
            return _ONE
        request, model = exchange.request, models[0]
        limit = output_limit(request, model)
        most = expected_output(learned, request, model) if limit is None else limit
        rates = self._dearest(models) if known.money else _FREE
        tokens = 0 if request.endpoint == "count_tokens" else input_tokens(request)
        return Demand(tokens, most, min(most, learned), limit is not None, rates)

    def _dearest(self, models: Sequence[Model]) -> Rates:
        """Return the dearest price of these. Raises Forbidden where one has none."""
        dearest_yet = _FREE
        for model in models:
            rates = self.rates.get(model.name)
            if rates is not None:
                if sum(rates) > sum(dearest_yet):
                    dearest_yet = rates
            elif self._enforce:
                raise Forbidden(
                    "This model has no price, and here a budget of dollars applies. Its operator"
                    " must state one.",
                    code="model_without_price",
                    param="model",
                )
        return dearest_yet

    async def _reserve(
        self, exchange: Exchange, known: _Known, kind: tuple[str, ...], demand: Demand
    ) -> "_Hold | None":
        """Return what the request holds; None when nothing can be counted and nothing need be."""
        notes, now = exchange.notes, self.limiter.now()
        limits = tuple([meter.limit(exchange, kind[-1], demand, now) for meter in known.meters])
        name = exchange.id
        if len(notes):  # another block of this policy may have a lease of that name
            name = f"{name}.{len(notes.all(Limited))}"
        seconds = max(0.0, exchange.deadline - self.now())
        request = Reserve(name, exchange.caller.tenant, seconds, limits)
        try:
            decision = await self.limiter.reserve(request)
        except StateUnavailable:
            if self._enforce:
                raise
            return None
        exceeded: tuple[str, ...] = ()
        if isinstance(decision, Refused) or not self._enforce:
            exceeded = _exceeded(known, decision)
        if isinstance(decision, Refused):
            index = next(i for i, limit in enumerate(limits) if limit.key == decision.key)
            meter = known.meters[index]
            notes.add(Limited(known.families, decision.limits, exceeded, meter.title))
            notes.add(REFUSED)
            raise refusal(meter, limits[index].amount, decision.retry_after, now, self._random)
        amounts = Amounts(
            demand.input,
            demand.most,
            at_most(demand.rates, demand.input, demand.most) if known.money else None,
        )
        most = demand.most if demand.stated else None
        notes.add(Limited(known.families, decision.limits, exceeded, "", amounts, most))
        notes.add(OBSERVED if exceeded else ADMITTED)
        return _Hold(self, exchange, known, decision.lease, (kind, demand))


class _Hold:
    """What one request holds until it is over."""

    __slots__ = ("_demand", "_exchange", "_kind", "_known", "_lease", "_stage")

    def __init__(
        self,
        stage: RateLimit,
        exchange: Exchange,
        known: _Known,
        lease: Lease,
        need: tuple[tuple[str, ...], Demand],
    ) -> None:
        self._stage = stage
        self._exchange = exchange
        self._known = known
        self._lease = lease
        self._kind, self._demand = need

    def lower(self, model: str) -> None:
        """Give back what is too much now that the model that answers is known."""
        rates = self._stage.rates.get(model)
        if rates is None or not self._known.money or sum(rates) >= sum(self._demand.rates):
            return
        demand = self._demand
        demand.rates = rates
        pairs = zip(self._known.meters, self._lease.limits, strict=True)
        amounts = {
            limit.key: meter.amount(demand) for meter, limit in pairs if meter.kind == "cost"
        }
        self._stage.limiter.lower(self._lease, amounts)

    def failed(self) -> None:
        """End a request that has no answer: it is free when no provider was ever asked."""
        facts = gather(self._exchange.notes)
        if any(attempt.work != "none" for attempt in facts.attempts):
            self.settle()
        else:
            self._stage.limiter.release(self._lease)

    def settle(self) -> None:
        """Charge what was used."""
        stage, exchange, known = self._stage, self._exchange, self._known
        if not known.measured:
            stage.limiter.settle(self._lease, {})
            return
        newest = exchange.notes.newest
        if type(newest) is Used:  # as nearly always: then the rest of the notes changes nothing
            charge = Charge("provider", amounts_of(newest))
        else:
            charge = charge_of(gather(exchange.notes))
        if charge.counted == "reserved":
            stage.limiter.settle(self._lease, {})
            return
        amounts = self._priced(charge.amounts)
        used = {}
        for meter, limit in zip(known.meters, self._lease.limits, strict=True):
            if meter.measured:
                used[limit.key] = meter.used(amounts)
        stage.limiter.settle(self._lease, used)
        if charge.counted == "provider" and exchange.request.endpoint not in ALWAYS_WHOLE:
            stage.history.observe(self._kind, amounts.output)

    def _priced(self, amounts: Amounts) -> Amounts:
        """Return the amounts with the stated price where the model has none."""
        price = self._stage.default_price
        if amounts.micro_dollars is None and price is not None:
            money = cost(Usage(amounts.input, amounts.output), price)
            return Amounts(amounts.input, amounts.output, min(money, MAX_AMOUNT))
        return amounts


_FREE: Final[Rates] = (0, 0)
_ONE: Final = Demand(0, 0, 0, True, _FREE)


def _exceeded(known: _Known, decision: Admitted | Refused) -> tuple[str, ...]:
    pairs = zip(known.titles, decision.limits, strict=True)
    return tuple([title for title, status in pairs if status.exceeded])
