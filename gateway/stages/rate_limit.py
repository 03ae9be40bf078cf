"""Limits: what a request may use is reserved before it goes on, and settled when it is over."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from gateway.core.catalogue import Model, Price
from gateway.core.errors import Forbidden, LimitReached, StateUnavailable
from gateway.core.estimate import expected_output, input_tokens, output_limit
from gateway.core.exchange import Exchange, Overflow
from gateway.core.limits import LimitRule, check_limits
from gateway.core.money import Rates, at_most, dearest
from gateway.core.notes import Amounts, Limited, Queued, Verdict
from gateway.core.ports import Tools
from gateway.core.reply import Reply, Whole, when_over
from gateway.core.stage import Next, Stage
from gateway.core.state import Admitted, Limit, Refused, Reserve
from gateway.stages.base import StagePolicy
from gateway.stages.limit_checks import check_passable, check_prices, check_use
from gateway.stages.limit_hold import Books, Hold, Kind, Known
from gateway.stages.limit_lines import Decision, Lines, Patience
from gateway.stages.limit_meters import Demand, Meter
from gateway.stages.limit_refusals import refusal
from gateway.stages.names import Names, Problem

STAGE: Final = "rate_limit"
ADMITTED: Final = Verdict(STAGE, "admitted")
REFUSED: Final = Verdict(STAGE, "refused")
OBSERVED: Final = Verdict(STAGE, "observed")
WAITED: Final = Verdict(STAGE, "waited")
UNLIMITED: Final = Verdict(STAGE, "unlimited")
UNCOUNTED: Final = Verdict(STAGE, "uncounted")
MARGIN: Final = 0.05
"""Seconds before its deadline at which a request has waited long enough."""


class RateLimitPolicy(StagePolicy, frozen=True, tag="rate_limit", kw_only=True):
    """Count requests, tokens and money, and refuse with 429 what exceeds a limit.

    The tenant's own limits, from tenants.yaml, are counted here too.
    """

    shapes_answers: ClassVar[bool] = False

    limits: Annotated[
        tuple[LimitRule, ...], Meta(description="All of them must have room for a request.")
    ] = ()
    enforce: Annotated[
        bool,
        Meta(description="false: count, log and report what would be refused, refuse nothing."),
    ] = True
    overflow: Annotated[
        Overflow,
        Meta(
            description="What becomes of a request that a limit has no room for. wait: it waits in"
            " a fair queue, if its deadline allows. A tenant's own word goes first."
        ),
    ] = "refuse"
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


class RateLimit:
    """Reserves, and settles in every way that a request can end."""

    def __init__(self, policy: RateLimitPolicy, tools: Tools) -> None:
        self.now = tools.runtime.clock.monotonic
        self.books = Books(
            tools.state.limiter,
            tools.history,
            Lines(tools.runtime.clock),
            _rates(tools, policy.default_price),
            policy.default_price,
        )
        self._rules = policy.limits
        self._enforce = policy.enforce
        self._overflow = policy.overflow
        self._catalogue = tools.catalogue
        self._random = tools.runtime.random
        self._known: dict[str, Known] = {}

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Let the request on when all limits have room. Raises LimitReached, StateUnavailable."""
        known = self._known.get(exchange.caller.tenant) or self._know(exchange)
        if not known.meters:
            exchange.notes.add(UNLIMITED)
            return await proceed(exchange)
        models = self._targets(exchange)
        kind = (exchange.caller.tenant, exchange.policy, exchange.request.endpoint, models[0].name)
        demand = self._demand(exchange, models, known, self.books.history.high(kind))
        hold = await self._reserve(exchange, known, kind, demand)
        if hold is None:
            exchange.notes.add(UNCOUNTED)
            return await proceed(exchange)
        try:
            reply = await proceed(exchange)
        except BaseException:
            hold.failed()
            raise
        if isinstance(reply, Whole):
            hold.settle()
            return reply
        hold.lower(reply.answered.model)
        return when_over(reply, hold.settle, self.now)

    def _know(self, exchange: Exchange) -> Known:
        caller, enforce, policy = exchange.caller, self._enforce, exchange.policy
        meters = (
            *(Meter(x, caller.tenant, policy=policy, enforce=enforce) for x in self._rules),
            *(Meter(x, caller.tenant, policy=None, enforce=enforce) for x in caller.limits),
        )
        known = self._known[caller.tenant] = Known(
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
        self, exchange: Exchange, models: Sequence[Model], known: Known, learned: int
    ) -> Demand:
        """Return what the request may use. Raises Forbidden when that has no price."""
        if not known.measured:
            return _ONE
        request, model = exchange.request, models[0]
        limit = output_limit(request, model)
        most = expected_output(learned, request, model) if limit is None else limit
        tokens = 0 if request.endpoint == "count_tokens" else input_tokens(request)
        rates, money = _FREE, 0
        if known.money:
            rates = self._dearest(models)
            money = at_most(rates, tokens, most)
        likely = min(learned, most)
        return Demand(tokens, most, likely, limit is not None, rates, money)

    def _dearest(self, models: Sequence[Model]) -> Rates:
        """Return the dearest price of these. Raises Forbidden where one has none."""
        dearest_yet = _FREE
        for model in models:
            rates = self.books.rates.get(model.name)
            if rates is not None:
                if dearest_yet is _FREE or sum(rates) > sum(dearest_yet):
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
        self, exchange: Exchange, known: Known, kind: Kind, demand: Demand
    ) -> Hold | None:
        """Return what the request holds; None when nothing can be counted and nothing need be."""
        notes, waited = exchange.notes, False
        try:
            if self._enforce and (exchange.caller.overflow or self._overflow) == "wait":
                attempt = _Attempt(self, exchange, known, kind, demand)
                decision = await self._wait(attempt, exchange, demand)
                limits, waited = attempt.limits, attempt.waited
            else:
                request = self.request(exchange, known, kind[-1], demand)
                limits = request.limits
                decision = await self.books.limiter.reserve(request)
        except StateUnavailable:
            if self._enforce:
                raise
            return None
        exceeded: tuple[str, ...] = ()
        if not isinstance(decision, Admitted):
            raise self._refusal(exchange, known, limits, decision)
        if not self._enforce:
            exceeded = _exceeded(known, decision)
        amounts = most = None
        if known.measured:
            money = demand.micro_dollars if known.money else None
            amounts = Amounts(demand.input, demand.most, money)
            most = demand.most if demand.stated else None
        notes.add(Limited(known.families, decision.limits, exceeded, "", amounts, most))
        if not waited:
            notes.add(OBSERVED if exceeded else ADMITTED)
        return Hold(self.books, exchange, known, decision.lease, kind, demand)

    def request(
        self, exchange: Exchange, known: Known, model: str, demand: Demand, number: int = 0
    ) -> Reserve:
        """Return what to ask for now; every try, by its number, has a name of its own."""
        now, name = self.books.limiter.now(), exchange.id
        limits = tuple([meter.limit(exchange, model, demand, now) for meter in known.meters])
        if len(exchange.notes):  # another block of this policy may have a lease of that name
            name = f"{name}.{len(exchange.notes.all(Limited))}"
        if number:
            name = f"{name}~{number}"
        left = exchange.deadline - self.now()
        return Reserve(name, exchange.caller.tenant, left if left > 0 else 0.0, limits)

    def _refusal(
        self, exchange: Exchange, known: Known, limits: Sequence[Limit], refused: Refused
    ) -> LimitReached:
        """Return the error for a refusal, and leave it behind as a note."""
        index = next((i for i, x in enumerate(limits) if x.key == refused.key), 0)
        meter = known.meters[index]
        families = known.families if refused.limits else ()
        exceeded = _exceeded(known, refused) or (meter.title,)
        exchange.notes.add(Limited(families, refused.limits, exceeded, meter.title))
        exchange.notes.add(REFUSED)
        now, amount = self.books.limiter.now(), limits[index].amount
        return refusal(meter, amount, refused.retry_after, now, self._random)

    async def _wait(self, attempt: "_Attempt", exchange: Exchange, demand: Demand) -> Decision:
        """Return the decision, when need be after a wait that is noted."""
        tokens = (
            demand.input + demand.likely if demand is not _ONE else input_tokens(exchange.request)
        )
        until = exchange.deadline - MARGIN
        began = self.now()
        patience = Patience(exchange.caller, tokens, until)
        try:
            limits = attempt.next().limits
            attempt.number = 0
            return await self.books.lines.admitted(attempt, limits, patience)
        finally:
            if attempt.number > 1 or self.now() - began > MARGIN:
                attempt.waited = True
                exchange.notes.add(WAITED)
                exchange.notes.add(Queued(self.now() - began))


class _Attempt(Struct):
    """One request's tries to get in: each asks for the windows of its moment, under a new name."""

    stage: RateLimit
    exchange: Exchange
    known: Known
    kind: Kind
    demand: Demand
    number: int = 0
    waited: bool = False
    limits: tuple[Limit, ...] = ()

    def next(self) -> Reserve:
        """Return what the next try asks for."""
        model = self.kind[-1]
        request = self.stage.request(self.exchange, self.known, model, self.demand, self.number)
        self.limits = request.limits
        self.number += 1
        return request

    async def __call__(self) -> Decision:
        """Try. Raises StateUnavailable."""
        return await self.stage.books.limiter.reserve(self.next())


_FREE: Final[Rates] = (0, 0)
_ONE: Final = Demand(0, 0, 0, True, _FREE, 0)


def _rates(tools: Tools, default: Price | None) -> Mapping[str, Rates]:
    """Return the dearest that a token of each model can cost, where it has a price."""
    prices = {name: model.price or default for name, model in tools.catalogue.models.items()}
    return {name: dearest(price) for name, price in prices.items() if price is not None}


def _exceeded(known: Known, decision: Decision) -> tuple[str, ...]:
    pairs = zip(known.titles, decision.limits, strict=False)  # none after a wait in vain
    return tuple([title for title, status in pairs if status.exceeded])
