"""Limits that cannot work with the models and tenants that there are."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from gateway.core.catalogue import Catalogue, Model, Price
from gateway.core.estimate import TOKENS_PER_MESSAGE
from gateway.core.exchange import Caller
from gateway.core.limits import LABEL, LimitRule, check_limits
from gateway.core.money import at_most, dearest, in_words
from gateway.documents import suggest
from gateway.stages.names import Names, Problem

SHORTEST: Final = {
    "input_tokens": TOKENS_PER_MESSAGE + 1,
    "tokens": TOKENS_PER_MESSAGE + 2,
}
"""Tokens of a message of one token, and of one that is answered by another."""


def check_rules(limits: Sequence[LimitRule]) -> tuple[Mapping[int, LimitRule], list[Problem]]:
    """Return the limits that make sense, by their places in the list, and what others do not."""
    problems = [Problem(("limits", *path), what) for path, what in check_limits(limits)]
    wrong = {problem.path[1] for problem in problems}
    return {i: rule for i, rule in enumerate(limits) if i not in wrong}, problems


def check_use(limits: Sequence[LimitRule], names: Names) -> Iterator[Problem]:
    """Yield that the block limits nothing."""
    if limits or names.tenants is None or list(_of_tenants(names)):
        return
    yield Problem((), "limits nothing: it has no `limits`, and no tenant here has any.", "warning")


def check_passable(
    limits: Mapping[int, LimitRule], default: Price | None, models: Mapping[str, Model]
) -> Iterator[Problem]:
    """Yield limits that not even the smallest request fits, or not one to some of the models."""
    costs = _costs(default, models)
    cheapest = min(costs.values(), default=0)
    for index, rule in limits.items():
        path = ("limits", index, rule.kind if rule.burst is None else "burst")
        least = SHORTEST.get(rule.kind, 1) if rule.kind != "cost" else cheapest
        if rule.capacity < least:
            what = f"the shortest request needs {in_words(least)}"
            if rule.kind != "cost":
                what = f"the shortest message counts {least} {rule.kind.replace('_', ' ')}"
            yield Problem(path, f"no request can pass: {what}.")
        elif rule.kind == "cost":
            dear = {name: cost for name, cost in costs.items() if rule.capacity < cost}
            named = " or ".join(f"`{name}`" for name in sorted(dear))
            what = f"no request to {named} can pass: the shortest needs"
            if dear:
                yield Problem(path, f"{what} {in_words(min(dear.values()))}.", "warning")


def check_prices(
    limits: Mapping[int, LimitRule],
    default: Price | None,
    models: Mapping[str, Model],
    names: Names,
) -> Iterator[Problem]:
    """Yield the models that a limit in dollars refuses because they have no price."""
    if default is not None:
        return
    found = next((index for index, rule in limits.items() if rule.kind == "cost"), None)
    tenants = any(rule.kind == "cost" for rule in _of_tenants(names))
    if found is None and not tenants:
        return
    unpriced = sorted(name for name, model in models.items() if not model.price)
    if unpriced:
        which = "which has" if len(unpriced) == 1 else "which have"
        named = ", ".join(f"`{name}`" for name in unpriced)
        what = f"refuses {named}, {which} no price. Give one in models.yaml, or"
        path = ("limits", found, "cost") if found is not None else ()
        yield Problem(path, f"{what} state a `default_price` here.", "warning")


def check_labels(limits: Mapping[int, LimitRule], callers: Collection[Caller]) -> Iterator[Problem]:
    """Yield labels that limits count by and that none of these callers has."""
    held = {LABEL + label for caller in callers for label in caller.labels}
    for index, rule in limits.items():
        for place, dimension in enumerate(rule.per):
            if dimension.startswith(LABEL) and dimension not in held:
                what = "no tenant that comes here has this label, so those whose keys do not bring"
                hint = suggest(dimension, held)
                path = ("limits", index, "per", place)
                yield Problem(path, f"{what} it share one count.{hint}", "warning")


def admitted(catalogue: Catalogue, patterns: Collection[str]) -> Mapping[str, Model]:
    """Return the models that may be asked for by names that fit `patterns`."""
    names = {catalogue.aliases.get(name, name) for name in catalogue.matching(patterns)}
    return {name: model for name, model in catalogue.models.items() if name in names}


def _of_tenants(names: Names) -> Iterable[LimitRule]:
    """Yield the limits of the tenants whose requests come here."""
    for caller in names.callers:
        yield from caller.limits


def _costs(default: Price | None, models: Mapping[str, Model]) -> Mapping[str, int]:
    """Return the micro-dollars of the smallest request to each model that has a price."""
    prices = {name: model.price or default for name, model in models.items()}
    return {
        name: at_most(dearest(price), TOKENS_PER_MESSAGE + 1, 1)
        for name, price in prices.items()
        if price is not None
    }
