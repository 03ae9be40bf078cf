"""A stage's targets as they run: what each is asked, and for which requests it is there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway.core.capacity import Slots
from gateway.core.catalogue import Target
from gateway.core.chat import ChatRequest
from gateway.core.condition import Condition
from gateway.core.estimate import answers_of, input_tokens, output_limit, stated_output
from gateway.core.exchange import Exchange, Route
from gateway.core.money import at_most, cost, dearest
from gateway.core.notes import Routed
from gateway.core.patterns import matcher
from gateway.core.ports import Tools
from gateway.core.reply import Usage
from gateway.core.retry_budget import RetryBudget

ANSWER: Final = 4096
"""Tokens that an answer is taken to have at most, where neither caller nor catalogue says."""
_ANY_LENGTH: Final = 1 << 40
_LENGTHS: Final = ("max_tokens", "max_completion_tokens", "best_of")
_SURE: Final = 2
"""Bytes a token: a body with fewer bytes than this times the context fits, whatever it holds."""

Allows = Callable[[str], bool]
Sent = Callable[[float], None]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Candidate:
    """One target with all that is known of it."""

    __slots__ = (
        *("_lengths", "_longest", "_strategy", "_sure", "allows", "condition", "first"),
        *("first_token", "kept", "kept_usual", "model", "params", "slots", "target", "weight"),
    )

    def __init__(
        self,
        target: Target,
        condition: Condition,
        slots: Slots,
        policy: "TargetPolicy",
        *,
        strategy: str,
        allows: Allows | None,
    ) -> None:
        """Take what a policy says. `allows` says for which tenants it is there, None for all."""
        self.target = target
        self.model = target.model
        self.condition = condition
        self.slots = slots
        self.weight = policy.weight
        self.params = policy.params
        self.allows = allows
        self.first_token = policy.first_token
        self._lengths = {name: value for name, value in policy.params.items() if name in _LENGTHS}
        self._longest = target.model.max_output or _ANY_LENGTH
        self._sure = _SURE * (target.model.context or _ANY_LENGTH)
        """Bytes of a body that fits whatever it holds."""
        self.first = self.routed(strategy)
        """The note of a request that goes here first."""
        self._strategy = strategy
        self.kept: Route | None = None
        """The way of such a request while `condition.usual` is `kept_usual`, if that is all."""
        self.kept_usual: float | None = None

    def aim(self, exchange: Exchange, deadline: float, sent: Sent) -> Exchange:
        """Return the exchange as it goes to this target; `sent` is told when it gets there."""
        route = self._route(sent)
        if not self.params:
            return replace(exchange, route=route, deadline=deadline)
        request = exchange.request.with_fields(**self.params)
        return replace(exchange, route=route, request=request, deadline=deadline)

    def aim_first(self, exchange: Exchange, deadline: float, sent: Sent) -> Exchange:
        """Return the same for a request that goes here first; `sent` is always one and the same."""
        if not self.params:
            self.kept, self.kept_usual = self._route(sent), self.condition.usual
        return self.aim(exchange, deadline, sent)

    def _patience(self) -> float | None:
        """Return the most seconds to a first token, None for any."""
        known = [each for each in (self.first_token, self.condition.usual) if each is not None]
        return min(known, default=None)

    def _route(self, sent: Sent) -> Route:
        target, seconds = self.target, self._patience()
        if seconds is not None:
            target = Target(target.model, target.chosen, seconds)
        return Route((target,), self._strategy, sent)

    def ready(self, exchange: Exchange, now: float) -> bool:
        """Whether the target is well, and there for every request as long as this one."""
        condition, slots, request = self.condition, self.slots, exchange.request
        fields, output = request.fields, 0
        if self._lengths:
            output = self._output(request)
        elif "max_tokens" in fields or "max_completion_tokens" in fields:
            output = stated_output(fields)
        return (
            condition.breaker.closed
            and condition.key.closed
            and now >= condition.paused_until
            and self.allows is None
            and (exchange.caller.models is None or self._is_for(exchange))
            and slots.in_use < slots.limit  # not through `full`: a call less a request
            and not slots.turns
            and output <= self._longest  # as `_surely_fits` says
            and len(request.body) <= self._sure - _SURE * output
        )

    def routed(self, reason: str, *, fallback: bool = False) -> Routed:
        """Return the note that says that a request goes here, and why."""
        return Routed(self.model.name, self.model.provider, reason, fallback)

    def misfit(self, exchange: Exchange, ceiling: int | None) -> str:
        """Return why it cannot go here: `tenant`, `context`, `max_output`, `cost`, or nothing.

        `ceiling` is what it may cost in micro-dollars, None for anything. What a model is not
        able to do is not looked at: the relay says that before it asks.
        """
        model, request = self.model, exchange.request
        if not self._is_for(exchange):
            return "tenant"
        output = self._output(request)
        if output > self._longest:
            return "max_output"
        if not self._surely_fits(request, output):
            least = input_tokens(request) + max(1, output)
            if model.context is not None and least > model.context:
                return "context"
        if ceiling is not None and self.most_cost(exchange, ceiling) > ceiling:
            return "cost"
        return ""

    def most_cost(self, exchange: Exchange, ceiling: int) -> int:
        """Return the worst cost, all input written into the provider's cache if some may be."""
        request, price = exchange.request, self.model.price
        most = self.worst_cost(request, ceiling)
        kept = exchange.prompt_cache is not None or b'"cache_control"' in request.body
        if price is None or not kept:
            return most
        size = input_tokens(request)
        written = at_most((dearest(price)[0], 0), size, 0)
        return most + max(0, written - cost(Usage(input=size), price))

    def worst_cost(self, request: ChatRequest, ceiling: int) -> int:
        """Return micro-dollars for the input as guessed and the longest answers.

        An unknown price is above every ceiling.
        """
        model, price = self.model, self.model.price
        if price is None:
            return ceiling + 1
        if self._lengths:
            request = request.with_fields(**self._lengths)
        output = output_limit(request, model)
        if output is None:
            output = (model.max_output or ANSWER) * answers_of(request)
        return cost(Usage(input=input_tokens(request), output=output), price)

    def _is_for(self, exchange: Exchange) -> bool:
        caller = exchange.caller
        if self.allows is not None and not self.allows(caller.tenant):
            return False
        return caller.may_be_served_by(self.model.name, exchange.request.model)

    def _output(self, request: ChatRequest) -> int:
        """Return the most output tokens that are asked of this target, 0 where nothing says."""
        fields = request.fields
        return stated_output({**fields, **self._lengths} if self._lengths else fields)

    def _surely_fits(self, request: ChatRequest, output: int) -> bool:
        return output <= self._longest and len(request.body) <= self._sure - _SURE * output


class TargetPolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a request may go."""

    model: Annotated[
        str, Meta(description="A model or alias; left out: the one that the request asks for.")
    ] = ""
    provider: Annotated[
        str,
        Meta(
            description="Another block under `providers:` that serves the model too: another key,"
            " region or deployment. Left out: the model's own."
        ),
    ] = ""
    weight: Annotated[
        float, Meta(gt=0, le=1000, description="Its share, for `weighted` and `balanced`.")
    ] = 1
    params: Annotated[
        Mapping[str, Any],
        Meta(description="Parameters to set for this target, in the caller's dialect; null: none."),
    ] = {}
    tenants: Annotated[
        tuple[str, ...],
        Meta(description="Only for these, `*` for any text; left out: for all."),
    ] = ()
    first_token: Annotated[
        Seconds | None,
        Meta(
            description="Most seconds to a stream's first token. What is usual there counts too:"
            " three times the 99th percentile, at least a second."
        ),
    ] = None


class Group(Struct, frozen=True):
    """The candidates for a request, as listed, and the budget for tries among them."""

    candidates: tuple[Candidate, ...]
    budget: RetryBudget


class Targets:
    """One list of targets in a policy, some of which may follow the model that is asked for."""

    def __init__(
        self, listed: Sequence[TargetPolicy], tools: Tools, strategy: str = "ordered"
    ) -> None:
        self._strategy = strategy
        self._listed = [(each, matcher(each.tenants) if each.tenants else None) for each in listed]
        self._tools = tools
        self._known: dict[tuple[str, str, bool], Group] = {}
        follows = not all(each.model for each in listed)
        self.fixed = None if follows else self._group(None)
        """The targets of every request, where they do not follow what it asks for."""

    def of(self, exchange: Exchange) -> Group:
        """Return the targets for a request. Raises UnknownModel."""
        if self.fixed is not None:
            return self.fixed
        asked = exchange.route.targets[0] if exchange.route else self._asked(exchange)
        key = (asked.model.provider, asked.model.name, asked.chosen)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._group(asked)
        return found

    def groups(self) -> Sequence[Group]:
        """Return the targets of all requests, as far as some request has asked for them."""
        return tuple(self._known.values()) if self.fixed is None else (self.fixed,)

    def _asked(self, exchange: Exchange) -> Target:
        """Return the model that is asked for, also where its own provider cannot be used here."""
        name, catalogue = exchange.request.model, self._tools.catalogue
        model = catalogue.models.get(catalogue.aliases.get(name, name))
        return catalogue.find(name) if model is None else Target(model, model.name != name)

    def _group(self, asked: Target | None) -> Group:
        tools = self._tools
        candidates = tuple(self._build(asked))
        pool = frozenset(each.model.provider for each in candidates)
        return Group(candidates, tools.health.budget(pool, tools.runtime.clock.monotonic()))

    def _build(self, asked: Target | None) -> Iterator[Candidate]:
        tools, seen = self._tools, set()
        for policy, allows in self._listed:
            if policy.model:
                name = tools.catalogue.aliases.get(policy.model, policy.model)
                target = Target(tools.catalogue.models[name], chosen=True)
            elif asked is not None:
                target = asked
            else:
                continue
            if policy.provider:
                model = replace(target.model, provider=policy.provider)
                target = Target(model, target.chosen)
            at = (target.model.provider, target.model.name)
            if at not in seen and target.model.provider in tools.providers:
                seen.add(at)
                condition = tools.health.condition(*at)
                slots = tools.capacity.at(target.model)
                yield Candidate(
                    target, condition, slots, policy, strategy=self._strategy, allows=allows
                )
