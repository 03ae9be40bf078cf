"""`stage: complexity_router` in a policy: its fields."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from gateway.core.exchange import SESSION
from gateway.core.ports import Tools
from gateway.core.stage import Stage
from gateway.core.text_file import TextFile
from gateway.stages.base import StagePolicy
from gateway.stages.complexity_router import checks
from gateway.stages.complexity_router.artefact import decode_artefact
from gateway.stages.complexity_router.calibration.targets import Target
from gateway.stages.complexity_router.directions import Direction, RulePolicy
from gateway.stages.complexity_router.scoring import Scale, scales
from gateway.stages.complexity_router.stage import AUTO, ComplexityRouter, Plan
from gateway.stages.complexity_router.tiers import Tier, TierPolicy
from gateway.stages.names import Names, Problem
from gateway.stages.when import When

PREFIX: Final = "turnout/"


class ComplexityRouterPolicy(StagePolicy, frozen=True, tag="complexity_router", kw_only=True):
    """Choose the tier of models that a request needs, where its name leaves the choice to us.

    `turnout/auto` is routed by difficulty, `turnout/<tier>` asks for a tier. Both must be aliases
    in models.yaml. What names a model goes there.
    """

    reads: ClassVar[tuple[str, ...]] = (SESSION,)

    tiers: Annotated[
        tuple[TierPolicy, ...],
        Meta(min_length=2, max_length=4, description="From the cheapest to the dearest."),
    ]
    target: Annotated[
        Target, Meta(description="What thresholds between the tiers are calibrated to.")
    ]
    artefact: Annotated[
        TextFile | None,
        Meta(
            description="What `turnout router train` made of your own rows: a .json file beside"
            " this one. Left out: rules that can be read."
        ),
    ] = None
    aliases: Annotated[
        Mapping[str, str],
        Meta(description="Further aliases of models.yaml -> `auto` or a tier."),
    ] = {}
    reroute: Annotated[
        bool,
        Meta(description="true: requests that name a model are routed too. Mind your callers."),
    ] = False
    rules: Annotated[
        tuple[RulePolicy, ...],
        Meta(description="The first with a `tier` that holds decides; a `min_tier` bounds it."),
    ] = ()
    fallback: Annotated[
        str,
        Meta(
            description="The tier of a request whose score says nothing: another script, or"
            " scoring failed. Left out: the middle one, of an even number the higher."
        ),
    ] = ""

    @property
    def routes(self) -> Iterator[tuple[str, str]]:
        """Yield its names, each with the tier that it asks for."""
        for name, tier in self.named.items():
            models = {each.name: each.model for each in self.tiers}
            every = ", ".join(f"{each} {model}" for each, model in models.items())
            yield name, f"{tier} {models[tier]}" if tier in models else every

    @property
    def conditions(self) -> Iterator[tuple[tuple[str | int, ...], When]]:
        """Yield its own condition and those of its rules."""
        if self.when is not None:
            yield ("when",), self.when
        for index, rule in enumerate(self.rules):
            if rule.when is not None:
                yield ("rules", index, "when"), rule.when

    def check(self, names: Names) -> Iterator[Problem]:
        """Yield names that lead nowhere, and what cannot be meant."""
        yield from checks.check_tiers(self.tiers, self.target, self.when, names)
        yield from checks.check_names(
            self.named, self.aliases, self.tiers, names, reroute=self.reroute
        )
        tiers = [tier.name for tier in self.tiers]
        yield from checks.check_rules(self.rules, self.fallback, tiers)
        if self.artefact is not None and not checks.unknown(self.tiers, names):
            models = [checks.model_of(tier, names.catalogue) for tier in self.tiers]
            try:
                self._scales(models)
            except ValueError as error:
                yield Problem(("artefact",), str(error))

    def check_place(self, above: Sequence[StagePolicy]) -> Iterator[Problem]:
        """Yield a stage above that has chosen a target already."""
        for index, each in enumerate(above):
            if each.name == "failover":
                what = f"this does nothing behind `failover`, pipeline[{index}]. Move it up."
                yield Problem((), what)

    def build(self, tools: Tools) -> Stage:
        """Return the stage."""
        names = [tier.name for tier in self.tiers]
        tiers = [Tier(tier, tools) for tier in self.tiers]
        fallback = names.index(self.fallback) if self.fallback else len(names) // 2
        plan = Plan(
            tiers=tiers,
            names={
                name: AUTO if tier == checks.AUTO else names.index(tier)
                for name, tier in self.named.items()
                if name in tools.catalogue.aliases
            },
            reroute=self.reroute,
            directions=[Direction(rule, names, tools.catalogue) for rule in self.rules],
            scales=self._scales([tier.model.name for tier in tiers]),
            fallback=fallback,
        )
        return ComplexityRouter(plan, tools)

    @property
    def named(self) -> Mapping[str, str]:
        """The names that ask for this stage, with `auto` or the tier that each asks for."""
        tiers = {f"{PREFIX}{tier.name}": tier.name for tier in self.tiers}
        return {f"{PREFIX}{checks.AUTO}": checks.AUTO, **tiers, **self.aliases}

    def _scales(self, models: Sequence[str]) -> Sequence[Scale]:
        """Return by which scores the tiers are told apart. Raises ValueError."""
        if self.artefact is None:
            return scales(models, self.target, None, "")
        data = self.artefact.text.encode()
        artefact = decode_artefact(data, self.artefact.name)
        return scales(models, self.target, artefact, sha256(data).hexdigest())
