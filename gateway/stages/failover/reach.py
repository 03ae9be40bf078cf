"""Whether each target is up to the requests that its stage admits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.core.catalogue import Capability, Model
from gateway.core.patterns import matcher
from gateway.stages.failover.targets import TargetPolicy
from gateway.stages.names import Names, Problem
from gateway.stages.needs import needs
from gateway.stages.when import When, several

_ABILITIES: Final[Mapping[Capability, str]] = {
    "tools": "take tools",
    "vision": "see pictures",
    "json_schema": "keep to a JSON schema",
}


def check_reach(
    targets: Sequence[TargetPolicy],
    longer: Sequence[TargetPolicy],
    when: When | None,
    names: Names,
) -> Iterator[Problem]:
    """Yield a warning for each target that cannot do what is admitted, or what the first can.

    `longer` are those for prompts that are too long for the others.
    """
    models = [(index, _model(target, names)) for index, target in enumerate(targets)]
    known = [(index, model) for index, model in models if model is not None]
    for index, model in known:
        unable = list(_unable(model, known[0][1], when or When()))
        if unable:
            what = f"`{model.name}` cannot {' or '.join(unable)}, says models.yaml: such requests"
            yield Problem(("targets", index), f"{what} skip it.", "warning")
    widest = max((model.context or 0 for _, model in known), default=0)
    for index, target in enumerate(longer):
        other = _model(target, names)
        if other is not None and other.context is not None and other.context <= widest:
            what = f"`{other.name}` holds {other.context} tokens, no more than the targets do."
            yield Problem(("on_context_window", index), what, "warning")


def check_lists(
    targets: Sequence[TargetPolicy], when: When | None, names: Names
) -> Iterator[Problem]:
    """Yield a warning for each target that tenants never reach, since their lists lack its model.

    A tenant whose list has an alias may still get there.
    """
    admits = matcher(several(when.tenant) if when and when.tenant else ("*",))
    bound = [each for each in names.callers if admits(each.tenant) and not each.aliases]
    for index, target in enumerate(targets):
        model, allows = _model(target, names), matcher(target.tenants or ("*",))
        if model is None:
            continue
        shut = [c.tenant for c in bound if not c.may_be_served_by(model.name, "")]
        if shut := sorted(filter(allows, shut)):
            what = f"`{model.name}` is not on the list of {', '.join(shut)}: such requests skip it."
            yield Problem(("targets", index), what, "warning")


def _model(target: TargetPolicy, names: Names) -> Model | None:
    catalogue = names.catalogue
    return catalogue.models.get(catalogue.aliases.get(target.model, target.model))


def _unable(model: Model, first: Model, when: When) -> Iterator[str]:
    asked = [(need, able) for _, need, able in needs(when)]
    yield from (need for need, able in asked if not able(model))
    told = {need for need, _ in asked}
    never = {"tools": when.tools is False, "vision": when.image is False}
    for capability, need in _ABILITIES.items():
        lost = first.may(capability) and not model.may(capability)
        if lost and need not in told and not never.get(capability):
            yield need
