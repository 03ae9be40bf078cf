"""`turnout models`: what can be asked for, what it costs, and why something is not served."""

import argparse

from gateway.commands.columns import lines_of
from gateway.commands.options import Commands, add_folders, setup_of
from gateway.core.catalogue import Catalogue, Model

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
    for line in table(setup_of(given).catalogue):
        print(line)
    return 0


def table(catalogue: Catalogue) -> list[str]:
    """Return the lines of the table."""
    rows = [HEAD, *(_row(model, catalogue) for model in catalogue.models.values())]
    lines = lines_of(rows)
    lines += [f"{alias} -> {name}" for alias, name in catalogue.aliases.items()]
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
