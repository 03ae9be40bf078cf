"""The command `turnout`."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from gateway import __version__
from gateway.documents import Invalid

COMMANDS: Final = ("serve", "check", "keys", "cache", "router", "models", "providers", "schema")
"""The modules of `gateway.commands` that have an `add_to`, in the order of the help."""

USAGE = 2
"""The exit code when the command cannot do what it was asked: bad options or configuration."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="turnout",
        description="An LLM gateway: one base_url in front of every model, with policies in YAML.",
        epilog="turnout COMMAND --help explains a command's options.",
    )
    parser.add_argument("--version", action="version", version=f"turnout {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked = sys.argv[1:] if arguments is None else arguments
    # Only what was asked for is loaded: all of them take a tenth of a second.
    for name in asked[:1] if asked and asked[0] in COMMANDS else COMMANDS:
        import_module(f"gateway.commands.{name}").add_to(commands)
    given = parser.parse_args(asked)
    try:
        code: int = given.run(given)
    except Invalid as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stderr.close()
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
