"""`turnout router`: the model that picks tiers, and whether they earn their price."""

from gateway.commands.options import Commands
from gateway.commands.router_audit import add_audit


def add_to(commands: Commands) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "router",
        help="say which tiers earn their price",
        description="Work on the complexity router, beside a gateway that runs.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    add_audit(verbs)
