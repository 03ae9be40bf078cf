"""`stage: failover` in a policy: its fields, and what its types cannot say."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from gateway.core.ports import Tools
from gateway.core.stage import Stage
from gateway.documents import suggest
from gateway.stages.base import StagePolicy
from gateway.stages.failover.effects import SPREAD, check_hedge, check_times, check_weights
from gateway.stages.failover.hedge import HedgePolicy, Hedging
from gateway.stages.failover.learning import Learning
from gateway.stages.failover.params import FIXED, check_params
from gateway.stages.failover.reach import check_lists, check_reach
from gateway.stages.failover.rules import Rules
from gateway.stages.failover.stage import Failover
from gateway.stages.failover.strategies import Strategy, strategy
from gateway.stages.failover.targets import Seconds, TargetPolicy, Targets
from gateway.stages.names import Names, Problem

Dollars = Annotated[float, Meta(gt=0, le=100_000)]


class FailoverPolicy(StagePolicy, frozen=True, tag="failover", kw_only=True):
    """Try targets until one answers, within one deadline, one retry budget and one cost ceiling."""

    once: ClassVar[bool] = True

    targets: Annotated[
        tuple[TargetPolicy, ...], Meta(min_length=1, description="Where requests may go.")
    ]
    strategy: Annotated[
        Strategy,
        Meta(
            description="Which is first. ordered: as listed. weighted: by chance. fastest: by time"
            " to first token and load, the better of two. reliable: by observed success."
            " cheapest: by price. balanced: the least busy."
        ),
    ] = "ordered"
    sticky: Annotated[
        bool,
        Meta(
            description="A conversation stays where it began, for the provider's prompt cache;"
            " with `weighted` and `balanced`."
        ),
    ] = False
    attempts: Annotated[int, Meta(ge=1, le=3, description="Most tries of a request.")] = 3
    deadline: Annotated[
        Seconds | None,
        Meta(description="Seconds for the whole chain; a caller may ask for less. Left out: none."),
    ] = None
    max_cost: Annotated[
        Dollars | None,
        Meta(description="Dollars for the whole chain; a caller may ask for less. Left out: any."),
    ] = None
    hedge: Annotated[
        HedgePolicy | None,
        Meta(
            description="Ask the next target too when a stream's first token takes longer than 95"
            " of 100 do. Left out: never."
        ),
    ] = None
    on_context_window: Annotated[
        tuple[TargetPolicy, ...],
        Meta(description="Where a request goes that a provider calls too long for its model."),
    ] = ()
    on_content_policy: Annotated[
        tuple[TargetPolicy, ...],
        Meta(description="Where a request goes that a provider's content policy refuses."),
    ] = ()

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield names that lead nowhere, and what cannot be meant."""
        for field, targets in self._lists():
            for index, target in enumerate(targets):
                yield from _check_target(target, (field, index), names)
            yield from _twins(field, targets)
            yield from check_weights(field, targets, self.strategy)
            yield from check_times(field, targets, self.deadline)
        yield from check_reach(self.targets, self.on_context_window, self.when, names)
        yield from check_lists(self.targets, self.when, names)
        if self.hedge is not None:
            yield from check_hedge(self.targets)
        if self.sticky and self.strategy not in SPREAD:
            what = f"`{self.strategy}` needs no `sticky`, or is undone by it."
            yield Problem(("sticky",), f"{what} It is for `weighted` and `balanced`.")

    def check_place(self, above: Sequence[StagePolicy]) -> Iterator[Problem]:
        """Yield where the tier that was chosen above would be overruled."""
        if all(each.model for each in self.targets):
            for index, each in enumerate(above):
                if each.name == "complexity_router":
                    what = f"no target follows the tier that pipeline[{index}] chooses."
                    yield Problem(("targets",), f"{what} Put `- {{}}` first: the model asked for.")

    def build(self, tools: Tools) -> Stage:
        """Return the stage that walks the targets."""
        clock, random = tools.runtime.clock, tools.runtime.random
        rules = Rules(
            clock=clock,
            random=random,
            learning=Learning(tools.health, clock),
            order=strategy(self.strategy, random, sticky=self.sticky),
            name=self.strategy,
            attempts=self.attempts,
            seconds=self.deadline,
            max_cost=None if self.max_cost is None else round(self.max_cost * 1_000_000),
            hedging=Hedging(self.hedge, tools.runtime) if self.hedge else None,
            fallbacks={
                field.removeprefix("on_"): Targets(targets, tools)
                for field, targets in self._lists()[1:]
                if targets
            },
        )
        stage = Failover(Targets(self.targets, tools, self.strategy), rules)
        tools.health.show(stage)
        return stage

    def _lists(self) -> Sequence[tuple[str, tuple[TargetPolicy, ...]]]:
        return (
            ("targets", self.targets),
            ("on_context_window", self.on_context_window),
            ("on_content_policy", self.on_content_policy),
        )


def _check_target(
    target: TargetPolicy, at: tuple[str | int, ...], names: Names
) -> Iterator[Problem]:
    models = list(names.models)
    if target.model and target.model not in models:
        what = f"there is no such model.{suggest(target.model, models)}"
        yield Problem((*at, "model"), what)
    providers = names.providers
    if target.provider and providers is not None and target.provider not in providers:
        what = f"there is no such provider.{suggest(target.provider, providers)}"
        yield Problem((*at, "provider"), what)
    for name in sorted(FIXED & set(target.params)):
        yield Problem((*at, "params", name), "a target cannot change this: it is the request.")
    yield from check_params(target, at, names)
    for index, name in enumerate(target.tenants):
        if names.tenants is not None and "*" not in name and name not in names.tenants:
            what = f"there is no tenant `{name}`.{suggest(name, names.tenants)}"
            yield Problem((*at, "tenants", index), what, "warning")


def _twins(field: str, targets: tuple[TargetPolicy, ...]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for index, target in enumerate(targets):
        first = seen.setdefault((target.model, target.provider), index)
        if first != index:
            what = (
                f"this is the same target as {field}[{first}]. A second try there waits its turn."
            )
            yield Problem((field, index), what)
