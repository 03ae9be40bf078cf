"""The options that several commands share."""

import argparse
from pathlib import Path
from typing import TypeAlias

from gateway.policy.setup import Setup, load_setup
from gateway.settings import environment, parse_address

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse has no public name


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Add --config and --policies."""
    parser.add_argument(
        "--config",
        metavar="DIR",
        type=Path,
        default=Path("config"),
        help="where gateway.yaml and models.yaml are (default: config)",
    )
    parser.add_argument(
        "--policies",
        metavar="DIR",
        type=Path,
        default=Path("policies"),
        help="where the policy files are (default: policies)",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=Path("data"),
        help="all that is written goes below it (default: data)",
    )


def address(text: str) -> str:
    """Check an address option, for argparse."""
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def setup_of(given: argparse.Namespace) -> Setup:
    """Load what the options point to. Raises Invalid with every problem."""
    addresses = {
        name: value for name in ("listen", "admin") if (value := getattr(given, name, None))
    }
    return load_setup(given.config, given.policies, environment(), addresses)
