"""`turnout schema`: the JSON Schema of the YAML files, for editors."""

import argparse
from typing import Any, Final

from gateway.commands.options import Commands
from gateway.commands.schema_rules import with_rules
from gateway.core import wire
from gateway.core.secret import Secret
from gateway.core.text_file import TextFile
from gateway.policy.load import PolicyFile
from gateway.policy.setup import GatewayFile, ModelsFile
from gateway.policy.tenants import TenantsFile

FILES: Final = {
    "policy": PolicyFile,
    "tenants": TenantsFile,
    "gateway": GatewayFile,
    "models": ModelsFile,
}


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of a YAML file",
        description="Print a JSON Schema. An editor that knows it completes and checks while you "
        "type: put `# yaml-language-server: $schema=FILE` on the first line of a YAML file.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        choices=list(FILES),
        default="policy",
        help="which file (default: policy)",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the schema of one kind of file."""
    print(schema_text(given.file))
    return 0


def schema_text(kind: str) -> str:
    """Return the JSON Schema of one kind of file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **with_rules(wire.json_schema(FILES[kind], _of_other_types)),
    }
    return wire.encode_pretty(schema)


def _of_other_types(shape: type) -> dict[str, Any]:
    if shape is TextFile:
        return {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*\.json$"}
    if shape is not Secret:
        raise NotImplementedError(shape)
    return {
        "type": "string",
        "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.*)$",
        "description": "Where the secret is: env:NAME or file:/path.",
    }
