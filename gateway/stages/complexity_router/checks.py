"""What the types of the router's fields cannot say."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from gateway.core.catalogue import Capability, Catalogue, Model
from gateway.documents import suggest
from gateway.stages.complexity_router.calibration.targets import Target
from gateway.stages.complexity_router.directions import RulePolicy
from gateway.stages.complexity_router.tiers import TierPolicy
from gateway.stages.names import Names, Problem
from gateway.stages.when import When

AUTO: Final = "auto"
_ABILITIES: Final[Mapping[Capability, str]] = {
    "tools": "takes tools",
    "vision": "sees pictures",
    "json_schema": "keeps to a JSON schema",
}


def model_of(tier: TierPolicy, catalogue: Catalogue) -> str:
    """Return the name of the model that a tier leads to."""
    return catalogue.aliases.get(tier.model, tier.model)


def unknown(tiers: Sequence[TierPolicy], names: Names) -> bool:
    """Whether some tier's model is not there."""
    return any(model_of(tier, names.catalogue) not in names.catalogue.models for tier in tiers)


def check_tiers(
    tiers: Sequence[TierPolicy], target: Target, when: When | None, names: Names
) -> Iterator[Problem]:
    """Yield models that are not there, twins, and what no tier can do or is not worth doing."""
    seen: dict[str, int] = {}
    models: list[Model] = []
    for index, tier in enumerate(tiers):
        if tier.name == AUTO:
            yield Problem(("tiers", index, "name"), "`auto` is no tier: it means any of them.")
        if any(tier.name == other.name for other in tiers[:index]):
            yield Problem(("tiers", index, "name"), "another tier has this name.")
        name = model_of(tier, names.catalogue)
        model = names.catalogue.models.get(name)
        if model is None:
            what = f"there is no such model.{suggest(tier.model, list(names.models))}"
            yield Problem(("tiers", index, "model"), what)
            continue
        if seen.setdefault(name, index) != index:
            what = f"this is the model of tiers[{seen[name]}]."
            yield Problem(("tiers", index, "model"), what)
        if target.cost_per_1k is not None and model.price is None:
            what = f"`cost_per_1k` needs a price of `{name}`. Add it in models.yaml."
            yield Problem(("tiers", index, "model"), what)
        models.append(model)
    for path, what in target.check(len(tiers)):
        yield Problem(("target", *path), what)
    if target.min_quality is not None:
        what = "nothing is known of the tiers' quality yet, so the rules decide. Use `shares`."
        yield Problem(("target", "min_quality"), what, "warning")
    if len(models) == len(tiers):
        yield from _order(models)
        yield from _abilities(models, when or When())


def check_names(
    named: Mapping[str, str],
    aliases: Mapping[str, str],
    tiers: Sequence[TierPolicy],
    names: Names,
    *,
    reroute: bool,
) -> Iterator[Problem]:
    """Yield aliases that are not there, or lead to a model of no tier without this stage."""
    catalogue, known = names.catalogue, [tier.name for tier in tiers]
    dearest = tiers[-1].model
    for alias, tier in aliases.items():
        if tier != AUTO and tier not in known:
            what = f"there is no such tier.{suggest(tier, [AUTO, *known])}"
            yield Problem(("aliases", alias), what)
        if alias not in catalogue.aliases:
            what = f"models.yaml has no such alias. Add `{alias}: {dearest}` to its `aliases`."
            yield Problem(("aliases", alias), what)
    if not reroute and not any(name in catalogue.aliases for name in named):
        name = next(iter(named))
        what = f"no request comes here. Add `{name}: {dearest}` to `aliases` in models.yaml."
        yield Problem((), what)
    models = {model_of(tier, catalogue) for tier in tiers}
    for name in named:
        leads = catalogue.aliases.get(name)
        if leads is not None and leads not in models:
            what = f"`{name}` leads to `{leads}` in models.yaml, which is the model of no tier."
            yield Problem(("tiers",), what, "warning")


def check_rules(
    rules: Sequence[RulePolicy], fallback: str, tiers: Sequence[str]
) -> Iterator[Problem]:
    """Yield what is wrong with the rules, and a fallback that is not there."""
    for index, rule in enumerate(rules):
        for problem in rule.check(tiers):
            yield Problem(("rules", index, *problem.path), problem.what, problem.severity)
        if any(rule.name == other.name for other in rules[:index]):
            yield Problem(("rules", index, "name"), "another rule has this name.")
    if fallback and fallback not in tiers:
        what = f"there is no such tier.{suggest(fallback, tiers)}"
        yield Problem(("fallback",), what)


def _order(models: Sequence[Model]) -> Iterator[Problem]:
    for index, (cheaper, dearer) in enumerate(pairwise(models), 1):
        low, high = cheaper.price, dearer.price
        if (
            low is not None
            and high is not None
            and low.input + low.output > high.input + high.output
        ):
            what = f"`{dearer.name}` is cheaper than `{cheaper.name}`, the tier below it."
            yield Problem(("tiers", index), what, "warning")


def _abilities(models: Sequence[Model], when: When) -> Iterator[Problem]:
    never = {"tools": when.tools is False, "vision": when.image is False}
    for capability, does in _ABILITIES.items():
        if not never.get(capability) and not any(model.may(capability) for model in models):
            yield Problem(("tiers",), f"no tier {does}: such requests are refused.", "warning")
