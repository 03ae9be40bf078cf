"""What commands share that work on the store of a gateway, running or not."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.commands.options import add_data, add_folders
from gateway.core.errors import StateUnavailable
from gateway.edge.listening import CannotStart

REFUSED: Final = 1
UNUSABLE: Final = 2

Run = Callable[[argparse.Namespace], int]


def finish(parser: argparse.ArgumentParser, run: Run, work: Callable[..., Awaitable[int]]) -> None:
    """Add the options that every verb has. `run` is called, and finds `work` beside them."""
    add_folders(parser)
    add_data(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="(default: text)"
    )
    parser.set_defaults(run=run, work=work)


def reached(command: str, work: Callable[[], int], cure: str) -> int:
    """Return what `work` returns, or say why the store cannot be used; `cure` ends that."""
    try:
        return work()
    except CannotStart as error:
        return complain(command, str(error), UNUSABLE)
    except StateUnavailable as error:
        return complain(command, f"the store cannot be reached: {error.detail}. {cure}")


def complain(command: str, what: str, code: int = REFUSED) -> int:
    """Say what is wrong, and return the exit code for it."""
    say(f"turnout {command}: {what}")
    return code


def task_failed(task: str, error: BaseException) -> None:
    """Warn of a background task that failed."""
    say(f"warning: {task} failed: {type(error).__name__}")


def say(text: str) -> None:
    """Tell people, beside what goes to standard output."""
    sys.stderr.write(text + "\n")
