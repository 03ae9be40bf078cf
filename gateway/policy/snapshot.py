"""Policies as they run: chains folded once, behind one reference that a reload swaps."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec
from msgspec import Struct

from gateway.core import wire
from gateway.core.errors import InternalError
from gateway.core.exchange import Exchange
from gateway.core.ports import Tools
from gateway.core.reply import Reply
from gateway.core.stage import Next, compose
from gateway.policy.load import Policy


class Snapshot(Struct, frozen=True):
    """All policies at one moment. `version` is equal exactly when their content is."""

    version: str
    policies: Mapping[str, Policy]
    chains: Mapping[str, Next]


class Holder:
    """Where the current snapshot is found. A request reads `current` once and keeps what it got."""

    __slots__ = ("current",)

    def __init__(self, current: Snapshot) -> None:
        self.current = current


def build_snapshot(policies: Mapping[str, Policy], tools: Tools) -> Snapshot:
    """Return policies ready to serve; their pipelines end in a stage that answers."""
    return Snapshot(
        version=fingerprint(policies),
        policies=policies,
        chains={
            name: compose([block.build(tools) for block in policy.pipeline], _nobody)
            for name, policy in policies.items()
        },
    )


def fingerprint(policies: Mapping[str, Policy]) -> str:
    """Return 12 hex digits that name this content, whatever the order or layout of its files."""
    plain = msgspec.to_builtins(policies, order="sorted")
    return sha256(wire.encode(plain)).hexdigest()[:12]


async def _nobody(exchange: Exchange) -> Reply:
    raise InternalError(
        "The gateway failed.", detail=f"policy {exchange.policy}: no stage answered"
    )
