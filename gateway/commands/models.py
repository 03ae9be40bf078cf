"""`turnout models`: what can be asked for, what it costs, and why something is not served."""

import argparse
from collections.abc import Mapping

from gateway.commands.columns import lines_of
from gateway.commands.options import Commands, add_folders, setup_of
from gateway.core.catalogue import Catalogue, Model
from gateway.policy.load import Rules

HEAD = ("MODEL", "PROVIDER", "TIER", "CONTEXT", "$/M IN", "$/M OUT", "SERVED")


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "models",
        help="list the models and whether they are served",
        description="List every model and alias with its price and context window, and say why "
        "one is not served.",
    )
    add_folders(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    setup = setup_of(given)
    for line in table(setup.catalogue, routed(setup.rules)):
        print(line)
    return 0


def routed(rules: Rules) -> Mapping[str, str]:
    """Return what policies make of aliases: by alias, where each policy sends it."""
    found: dict[str, list[str]] = {}
    for name, policy in rules.policies.items():
        for block in policy.pipeline:
            for alias, where in block.routes:
                found.setdefault(alias, []).append(f"{name}: {where}")
    return {alias: "; ".join(each) for alias, each in found.items()}


def table(catalogue: Catalogue, routes: Mapping[str, str]) -> list[str]:
    """Return the lines of the table."""
    rows = [HEAD, *(_row(model, catalogue) for model in catalogue.models.values())]
    lines = lines_of(rows)
    for alias, name in catalogue.aliases.items():
        by = f" (by policy {routes[alias]})" if alias in routes else ""
        lines.append(f"{alias} -> {name}{by}")
    return lines


def _row(model: Model, catalogue: Catalogue) -> tuple[str, ...]:
    price = model.price
    return (
        model.name,
        model.provider,
        model.tier or "-",
        f"{model.context:,}" if model.context else "-",
        f"{price.input:.2f}" if price else "unknown",
        f"{price.output:.2f}" if price else "unknown",
        catalogue.unserved.get(model.name, "yes"),
    )
