"""`turnout check`: is the configuration right? Opens nothing and asks nobody."""

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.commands.options import Commands, add_folders, setup_of
from gateway.core import wire
from gateway.documents import Diagnostic, Invalid
from gateway.trial.run import run_trials

PROBLEMS = 1


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="check the configuration without starting anything",
        description="Check config and policies and run the policies' tests, offline. Every "
        "problem is printed as file:line: what, why and the cure. The exit code is 1 when there "
        "is an error, and 0 when there are only warnings or nothing.",
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="a folder that holds config/ and policies/ (default: the current one)",
    )
    add_folders(parser)
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="how problems are printed; github: as annotations (default: text)",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print every problem, or what was found to be right."""
    if given.folder is not None:
        given.config = given.folder / given.config
        given.policies = given.folder / given.policies
    problems, summary = examine(given)
    errors = sum(problem.severity == "error" for problem in problems)
    print(FORMATS[given.format](problems, summary))
    return PROBLEMS if errors else 0


def examine(given: argparse.Namespace) -> tuple[Sequence[Diagnostic], str]:
    """Return what is wrong, and what there is when no error is among it."""
    try:
        setup = setup_of(given)
    except Invalid as error:
        return error.problems, ""
    served = len(list(setup.catalogue.served()))
    rules = setup.rules
    summary = (
        f"policies {len(rules.policies)}, tenants {len(rules.callers)}, "
        f"providers {len(setup.providers)}, models {len(setup.catalogue.models)}, "
        f"tests {len(rules.trials)}; names served with the keys set here: {served}"
    )
    failed = asyncio.run(run_trials(setup))
    return sorted([*setup.warnings, *rules.warnings, *failed]), summary


def as_text(problems: Sequence[Diagnostic], summary: str) -> str:
    """Return one line a problem, and a last line for all of them."""
    errors = sum(problem.severity == "error" for problem in problems)
    lines = list(map(str, problems))
    if lines:
        lines.append("")
    counted = _counted(errors, "error"), _counted(len(problems) - errors, "warning")
    found = " and ".join(filter(None, counted))
    if errors:
        lines.append(f"{found}.")
    else:
        lines.append(f"All is well{f' but for {found}' if found else ''}: {summary}.")
    return "\n".join(lines)


def as_json(problems: Sequence[Diagnostic], _summary: str) -> str:
    """Return one object with `ok` and the problems, each with file, line, severity and text."""
    errors = any(problem.severity == "error" for problem in problems)
    return wire.encode_pretty({"ok": not errors, "problems": list(problems)})


def as_github(problems: Sequence[Diagnostic], _summary: str) -> str:
    """Return workflow commands, which become annotations of the lines that they are about."""
    return "\n".join(
        f"::{problem.severity} file={problem.file},line={max(1, problem.line)}::"
        + problem.text.replace("%", "%25").replace("\n", "%0A")
        for problem in problems
    )


FORMATS: Final[Mapping[str, Callable[[Sequence[Diagnostic], str], str]]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
}


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}" if count else ""
