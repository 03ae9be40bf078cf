"""`turnout check`: is the configuration right? Opens nothing and asks nobody."""

import argparse
from pathlib import Path

from gateway.commands.options import Commands, add_folders, setup_of
from gateway.documents import Invalid

PROBLEMS = 1


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="check the configuration without starting anything",
        description="Check config and policies offline. Every problem is printed as file:line: "
        "what, why and the cure. The exit code is 0 when all is well and 1 when not.",
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="a folder that holds config/ and policies/ (default: the current one)",
    )
    add_folders(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print every problem, or what was found to be right."""
    if given.folder is not None:
        given.config = given.folder / given.config
        given.policies = given.folder / given.policies
    try:
        setup = setup_of(given)
    except Invalid as error:
        print(error)
        count = len(error.problems)
        print(f"\n{count} problem{'s' if count > 1 else ''}.")
        return PROBLEMS
    served = len(list(setup.catalogue.served()))
    print(
        f"All is well: policies {len(setup.policies)}, providers {len(setup.providers)}, "
        f"models {len(setup.catalogue.models)}; names served with the keys set here: {served}."
    )
    return 0
