"""Limits: what a request may use is reserved before it goes on, and settled when it is over."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from gateway.core.catalogue import Model, Price
from gateway.core.errors import Forbidden, LimitReached, StateUnavailable
from gateway.core.estimate import Answers, expected_output, input_tokens, output_limit
from gateway.core.exchange import Exchange, Overflow
from gateway.core.limits import LimitRule
from gateway.core.money import Rates, at_most, dearest
from gateway.core.notes import Demand, Limited, Queued, Verdict
from gateway.core.ports import Tools
from gateway.core.reply import Reply, Whole, when_over
from gateway.core.stage import Next, Stage
from gateway.core.state import Admitted, Decision, Refused, Reserve
from gateway.stages.base import StagePolicy
from gateway.stages.limit_checks import (
    admitted,
    check_labels,
    check_passable,
    check_prices,
    check_rules,
    check_use,
)
from gateway.stages.limit_hold import Books, Hold
from gateway.stages.limit_lines import Lines, Patience
from gateway.stages.limit_meters import Alike, Meters, meters_of
from gateway.stages.limit_refusals import estimated, refusal
from gateway.stages.names import Names, Problem
from gateway.stages.when import several

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
        sound, problems = check_rules(self.limits)
        yield from problems
        asked = several(self.when.model if self.when else None) or ("*",)
        models = admitted(names.catalogue, asked)
        yield from check_use(self.limits, names)
        yield from check_passable(sound, self.default_price, models)
        yield from check_prices(sound, self.default_price, models, names)
        if names.callers:
            yield from check_labels(sound, names.callers)

    def build(self, tools: Tools) -> Stage:
        """Return the stage that counts."""
        return RateLimit(self, tools)


class RateLimit:
    """Reserves, and settles in every way that a request can end."""

    def __init__(self, policy: RateLimitPolicy, tools: Tools) -> None:
        self._now = tools.runtime.clock.monotonic
        self._limiter = tools.state.limiter
        lines, default = Lines(tools.runtime.clock), policy.default_price
        self._books = Books(self._limiter, lines, _rates(tools, default), default)
        self._rules = policy.limits
        self._enforce = policy.enforce
        self._overflow = policy.overflow
        self._history = tools.history
        self._catalogue = tools.catalogue
        self._random = tools.runtime.random
        self._meters: dict[str, Meters] = {}

    async def __call__(self, exchange: Exchange, proceed: Next, /) -> Reply:
        """Let the request on when all limits have room. Raises LimitReached, StateUnavailable."""
        caller, notes = exchange.caller, exchange.notes
        meters = self._meters.get(caller.tenant) or self._ready(exchange)
        if not meters.each:
            notes.add(UNLIMITED)
            return await proceed(exchange)
        model, answers, demand = self._expect(exchange, meters)
        try:
            if meters.waits:
                decision = await self._wait(exchange, meters, model, demand)
            else:
                decision = await self._limiter.reserve(self._ask(exchange, meters, model, demand))
        except StateUnavailable:
            if self._enforce:
                raise
            notes.add(UNCOUNTED)
            return await proceed(exchange)
        if isinstance(decision, Refused):
            raise self._refusal(exchange, meters, demand, decision)
        if not meters.waits:
            notes.add(OBSERVED if decision.exceeded else ADMITTED)
        exceeded = meters.titles(decision.exceeded) if decision.exceeded else ()
        notes.add(Limited(decision, meters.families, exceeded, "", False, demand))
        hold = Hold(self._books, exchange, meters, decision.lease, answers, demand)
        try:
            reply = await proceed(exchange)
        except BaseException:
            hold.failed()
            raise
        if isinstance(reply, Whole):
            hold.settle()
            return reply
        hold.lower(reply.answered.model)
        return when_over(reply, hold.settle, self._now)

    def _ready(self, exchange: Exchange) -> Meters:
        caller, enforce, policy = exchange.caller, self._enforce, exchange.policy
        meters = self._meters[caller.tenant] = Meters(
            meters_of(self._rules, caller, policy, enforce=enforce),
            waits=enforce and (caller.overflow or self._overflow) == "wait",
        )
        return meters

    def _expect(self, exchange: Exchange, meters: Meters) -> tuple[str, Answers, Demand | None]:
        """Return which model is to answer, how long its answers are, and what they may use.

        Raises UnknownModel, and Forbidden when what counts in dollars has no price.
        """
        request, route = exchange.request, exchange.route
        asked = (request.model, request.endpoint)
        alike = meters.alike.get(asked) if route is None else None
        if alike is None:
            alike = self._alike(exchange, meters)
            if route is None:
                meters.alike[asked] = alike
        model, rates = alike.model, alike.rates
        answers = self._history.of(alike.name)
        if not meters.measured:
            return model.name, answers, None
        learned, limit = answers.high, output_limit(request, model)
        most = expected_output(learned, request, model) if limit is None else limit
        tokens = 0 if request.endpoint == "count_tokens" else input_tokens(request)
        money = at_most(rates, tokens, most) if meters.money else None
        likely = learned if learned < most else most  # noqa: FURB136 - `min` takes twice as long
        return model.name, answers, Demand(tokens, most, money, likely, limit is not None, rates)

    def _alike(self, exchange: Exchange, meters: Meters) -> Alike:
        """Return what is the same for all such requests. Raises UnknownModel, Forbidden."""
        request, route = exchange.request, exchange.route
        if route is not None:
            models = tuple([target.model for target in route.targets])
        else:
            models = (self._catalogue.find(request.model).model,)
        name = (exchange.caller.tenant, exchange.policy, request.endpoint, models[0].name)
        return Alike(name, models[0], self._dearest(models) if meters.money else _FREE)

    def _dearest(self, models: Sequence[Model]) -> Rates:
        """Return the dearest price of these. Raises Forbidden where one has none."""
        known = [self._books.rates[each.name] for each in models if each.name in self._books.rates]
        if len(known) < len(models) and self._enforce:
            raise Forbidden(
                "This model has no price, and here a budget of dollars applies. Its operator"
                " must state one.",
                code="model_without_price",
                param="model",
            )
        return max(known, key=sum, default=_FREE)

    def _ask(
        self, exchange: Exchange, meters: Meters, model: str, demand: Demand | None, tried: int = 0
    ) -> Reserve:
        """Return what to ask for now; every try has a name of its own."""
        name, left = exchange.id, exchange.deadline - self._now()
        if len(exchange.notes):  # another block of this policy may have a lease of that name
            name = f"{name}.{len(exchange.notes.all(Limited))}"
        if tried:
            name = f"{name}~{tried}"
        limits = meters.limits(exchange, model, self._limiter.now())
        tenant, amounts = exchange.caller.tenant, meters.amounts(demand)
        return Reserve(name, tenant, left if left > 0 else 0.0, limits, amounts)

    def _refusal(
        self, exchange: Exchange, meters: Meters, demand: Demand | None, refused: Refused
    ) -> LimitReached:
        """Return the error for a refusal, and leave it behind as a note."""
        index = next(i for i, limit in enumerate(refused.limits) if limit.key == refused.key)
        meter = meters.each[index]
        told = meters.families if refused.used else ()  # none after a wait in vain
        exceeded = meters.titles(refused.exceeded) or (meter.title,)
        guess = estimated(meter, demand)
        exchange.notes.add(Limited(refused, told, exceeded, meter.title, guess))
        exchange.notes.add(REFUSED)
        return refusal(meter, demand, refused, self._limiter.now(), self._random)

    async def _wait(
        self, exchange: Exchange, meters: Meters, model: str, demand: Demand | None
    ) -> Decision:
        """Return the decision, when need be after a wait that is noted. Raises StateUnavailable."""
        tries = 0

        def ask() -> Reserve:
            return self._ask(exchange, meters, model, demand, tries)

        async def attempt() -> Decision:
            nonlocal tries
            asked = ask()
            tries += 1
            return await self._limiter.reserve(asked)

        tokens = input_tokens(exchange.request) if demand is None else demand.input + demand.likely
        began = self._now()
        patience = Patience(exchange.caller, tokens, exchange.deadline - MARGIN)
        decision, waited = None, False
        try:
            decision = await self._books.lines.admitted(attempt, ask(), patience)
        finally:
            waited = tries > 1 or self._now() - began > MARGIN
            if waited:
                exchange.notes.add(WAITED)
                exchange.notes.add(Queued(self._now() - began))
            elif isinstance(decision, Admitted):
                exchange.notes.add(ADMITTED)
        return decision


_FREE: Final[Rates] = (0, 0)


def _rates(tools: Tools, default: Price | None) -> Mapping[str, Rates]:
    """Return the dearest that a token of each model can cost, where it has a price."""
    prices = {name: model.price or default for name, model in tools.catalogue.models.items()}
    return {name: dearest(price) for name, price in prices.items() if price is not None}
