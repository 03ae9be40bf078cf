"""The command `turnout`."""

import argparse
import sys
from collections.abc import Sequence

from gateway import __version__
from gateway.commands import cache, check, keys, models, providers, router, schema, serve
from gateway.documents import Invalid

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
    for command in (serve, check, keys, cache, router, models, providers, schema):
        command.add_to(commands)
    given = parser.parse_args(arguments)
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
