"""Whether a stage's `when` can ever hold, and whether the models that it admits are up to it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from gateway.core.chat import ALWAYS_WHOLE
from gateway.core.exchange import Caller
from gateway.core.patterns import matcher
from gateway.documents import suggest
from gateway.stages.names import Names, Problem
from gateway.stages.needs import CHAT, needs
from gateway.stages.when import When, several

_CREDENTIALS: Final = ("authorization", "cookie", "key", "secret", "token", "password")


def check_when(when: When, names: Names) -> Iterator[Problem]:
    """Yield what is wrong with a condition. What tenants may mend by themselves is a warning."""
    yield from _headers(when)
    yield from _contradictions(when)
    if names.tenants is not None:
        yield from _tenants(when, names, names.tenants)
    yield from _models(when, names)


def _headers(when: When) -> Iterator[Problem]:
    for name in when.header:
        if name != name.lower():
            what = f"header names stand in lower case here: `{name.lower()}`."
            yield Problem(("header", name), what)
        if any(part in _CREDENTIALS for part in name.lower().split("-")):
            what = "a policy never sees credentials. Use `tenant` or `labels`."
            yield Problem(("header", name), what)


def _contradictions(when: When) -> Iterator[Problem]:
    bounds = when.tokens
    least = -1 if bounds is None or bounds.above is None else bounds.above
    if bounds is not None and bounds.below is not None and bounds.below <= least + 1:
        what = f"no number is above {least} and below {bounds.below}."
        yield Problem(("tokens",), f"this never holds: {what}")
    endpoints = frozenset(several(when.endpoint))
    if not endpoints:
        return
    if when.stream and endpoints <= ALWAYS_WHOLE:
        yield Problem(("stream",), f"this never holds: {_list(endpoints)} does not stream.")
    for field, given in (("tools", when.tools), ("image", when.image)):
        if given and not endpoints & CHAT:
            what = f"this never holds: a request to {_list(endpoints)} brings none."
            yield Problem((field,), what)


def _tenants(when: When, names: Names, tenants: Mapping[str, Caller]) -> Iterator[Problem]:
    ours = {caller.tenant: caller for caller in names.callers}
    for index, name in enumerate(several(when.tenant)):
        path = ("tenant",) if isinstance(when.tenant, str) else ("tenant", index)
        known = tenants.get(name)
        if "*" in name:
            continue
        if known is None:
            what = f"there is no tenant `{name}`.{suggest(name, tenants)}"
            yield Problem(path, what, "warning")
        elif name not in ours:
            what = f"never holds here: `{name}` uses the policy `{known.policy}`."
            yield Problem(path, what, "warning")
    mine = matcher(several(when.tenant) or ("*",))
    if ours:  # that nobody comes here is said once, of the file
        yield from _labels(when, [caller for name, caller in ours.items() if mine(name)])


def _labels(when: When, callers: Collection[Caller]) -> Iterator[Problem]:
    for label, texts in when.labels.items():
        held = {caller.labels[label] for caller in callers if label in caller.labels}
        if not any(map(matcher(several(texts)), held)):
            hint = suggest(several(texts)[0], held)
            if not held:
                hint = suggest(label, {name for caller in callers for name in caller.labels})
            what = f"only keys can bring it: no tenant that comes here has such a label.{hint}"
            yield Problem(("labels", label), what, "warning")


def _models(when: When, names: Names) -> Iterator[Problem]:
    catalogue = names.catalogue
    for index, pattern in enumerate(several(when.model)):
        path = ("model",) if isinstance(when.model, str) else ("model", index)
        asked = catalogue.matching((pattern,))
        if "*" in pattern and not asked:
            yield Problem(path, "this never holds: no model has such a name.")
        elif "*" not in pattern and pattern not in names.models:
            what = f"there is no such model.{suggest(pattern, list(names.models))}"
            yield Problem(path, what)
    patterns = several(when.model)
    admitted = catalogue.matching(patterns or ("*",))
    targets = [
        catalogue.models[name]
        for name in sorted({catalogue.aliases.get(n, n) for n in admitted})
        if name in catalogue.models
    ]
    for field, need, able in needs(when):
        unable = [model.name for model in targets if not able(model)]
        if len(unable) == len(targets):
            what = f"no model that this admits can {need}, says models.yaml."
            yield Problem((field,), what, "warning")
        elif unable and patterns:
            what = f"this admits {_list(unable)}, which cannot {need}, says models.yaml."
            yield Problem((field,), what, "warning")


def _list(names: Collection[str]) -> str:
    return " or ".join(sorted(names))
