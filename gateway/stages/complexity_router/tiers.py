"""The tiers of a router: which requests each can take, and which comes next where one cannot."""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core.capability import NOTHING, lacking
from gateway.core.catalogue import Model, Target
from gateway.core.exchange import Exchange, Route
from gateway.core.ports import Tools
from gateway.stages.complexity_router.directions import NAME
from gateway.stages.failover.targets import Candidate, TargetPolicy
from gateway.stages.needs import CHAT

_DROPPABLE: Final = "logprobs"


class TierPolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model for requests of one difficulty."""

    name: Annotated[
        str,
        Meta(
            pattern=NAME,
            title="a word in lower case",
            description="`turnout/<name>` asks for this tier.",
        ),
    ]
    model: Annotated[str, Meta(description="A model of models.yaml, or an alias.")]


class Tier:
    """One tier as it runs."""

    def __init__(self, policy: TierPolicy, tools: Tools) -> None:
        model = tools.catalogue.models[tools.catalogue.aliases.get(policy.model, policy.model)]
        provider = tools.providers.get(model.provider)
        condition = tools.health.condition(model.provider, model.name)
        slots, target = tools.capacity.at(model), Target(model, chosen=True)
        self.name = policy.name
        self.model: Model = model
        self.route = Route((target,))
        self.condition = condition
        self._served = provider is not None
        self._stands_in_for = provider.stands_in_for if provider else NOTHING
        self._candidate = Candidate(
            target, condition, slots, TargetPolicy(), strategy="", allows=None
        )

    def admits(self, exchange: Exchange) -> bool:
        """Whether the caller's list of models lets its request come here."""
        return exchange.caller.may_be_served_by(self.model.name, exchange.request.model)

    def misfit(self, exchange: Exchange) -> str:
        """Return what the request needs and the tier has not, empty where it can take it.

        `tenant`, `provider`, `endpoint`, a capability such as `vision`, `context`, `max_output`, or
        `cost`, by what the caller says that it may cost.
        """
        if not self._served:
            return "provider"
        endpoint = exchange.request.endpoint
        if ("chat" if endpoint in CHAT else endpoint) not in self.model.endpoints:
            return "endpoint"
        for need in lacking(exchange.request, self.model, self._stands_in_for):
            if need.capability != _DROPPABLE or not exchange.drop_params:
                return need.capability
        return self._candidate.misfit(exchange, exchange.max_cost)


def nearest(wanted: int, able: Sequence[int]) -> int:
    """Return the tier of `able`, which ascend, that stands in for one: above it, else below."""
    return next((tier for tier in able if tier >= wanted), able[-1])
