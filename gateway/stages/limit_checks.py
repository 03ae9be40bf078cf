"""Limits that cannot work with the models and tenants that there are."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.core.catalogue import Price
from gateway.core.estimate import TOKENS_PER_MESSAGE
from gateway.core.limits import LimitRule
from gateway.core.money import at_most, dearest
from gateway.stages.names import Names, Problem
from gateway.stages.when import When, several

SHORTEST: Final = {
    "input_tokens": TOKENS_PER_MESSAGE + 1,
    "tokens": TOKENS_PER_MESSAGE + 2,
}
"""Tokens of a message of one token, and of one that is answered by another."""


def check_use(limits: Sequence[LimitRule], names: Names) -> Iterator[Problem]:
    """Yield that the block limits nothing."""
    if limits or names.tenants is None or list(_of_tenants(names)):
        return
    yield Problem((), "limits nothing: it has no `limits`, and no tenant here has any.", "warning")


def check_passable(
    limits: Sequence[LimitRule], default: Price | None, names: Names
) -> Iterator[Problem]:
    """Yield limits that not even the smallest request fits."""
    cheapest = _cheapest(default, names)
    for index, rule in enumerate(limits):
        least = SHORTEST.get(rule.kind, 1) if rule.kind != "cost" else cheapest
        if rule.capacity < least:
            what = f"the shortest request needs ${least / 1e6:g}"
            if rule.kind != "cost":
                what = f"the shortest message counts {least} {rule.kind.replace('_', ' ')}"
            field = rule.kind if rule.burst is None else "burst"
            yield Problem(("limits", index, field), f"no request can pass: {what}.")


def check_prices(
    limits: Sequence[LimitRule], default: Price | None, when: When | None, names: Names
) -> Iterator[Problem]:
    """Yield the models that a limit in dollars refuses because they have no price."""
    if default is not None:
        return
    found = next((i for i, rule in enumerate(limits) if rule.kind == "cost"), None)
    tenants = any(rule.kind == "cost" for rule in _of_tenants(names))
    if found is None and not tenants:
        return
    catalogue = names.catalogue
    asked = catalogue.matching(several(when.model if when else None) or ("*",))
    admitted = {catalogue.aliases.get(name, name) for name in asked}
    unpriced = sorted(
        name for name, model in catalogue.models.items() if name in admitted and not model.price
    )
    if unpriced:
        what = f"refuses {', '.join(unpriced)}, which have no price. Give one in models.yaml, or"
        path = ("limits", found, "cost") if found is not None else ()
        yield Problem(path, f"{what} state a `default_price` here.", "warning")


def _of_tenants(names: Names) -> Iterable[LimitRule]:
    """Yield the limits of the tenants whose requests come here."""
    for caller in (names.tenants or {}).values():
        if caller.policy == names.policy:
            yield from caller.limits


def _cheapest(default: Price | None, names: Names) -> int:
    """Return the micro-dollars of the smallest request at the lowest price that there is."""
    prices = [model.price or default for model in names.catalogue.models.values()]
    costs = [
        at_most(dearest(price), TOKENS_PER_MESSAGE + 1, 1) for price in prices if price is not None
    ]
    return min(costs, default=0)
