"""How a chain ends that no target was asked in."""

from collections.abc import Collection
from typing import Final

from gateway.core.condition import Condition
from gateway.core.errors import (
    AllProvidersDown,
    BadRequest,
    CapabilityMissing,
    Forbidden,
    GatewayError,
)

_DOWN: Final = "No provider is to be had at this moment. Wait, then try again."
_LEAST_WAIT: Final = 0.5


def all_down(conditions: Collection[Condition], now: float, detail: str) -> AllProvidersDown:
    """Return what to tell while every target is left alone: when the first may be asked again."""
    soonest = min((each.recovers_at(now) for each in conditions), default=None)
    wait = None if soonest is None else max(_LEAST_WAIT, soonest - now)
    return AllProvidersDown(_DOWN, detail=detail, retry_after=wait)


def unfit(reasons: Collection[str], lacks: CapabilityMissing | None) -> GatewayError:
    """Return what to tell of a request that no target can or may serve, for these reasons."""
    if lacks is not None:
        return lacks
    if "cost" in reasons:
        return BadRequest(
            "No model here is sure to answer within the cost that is allowed. Allow more, or ask"
            " for fewer tokens.",
            code="max_cost_exceeded",
            param="x-turnout-max-cost",
        )
    if "context" in reasons:
        what = "No model here can hold so long a prompt and its answer."
        return CapabilityMissing(what, param="messages")
    if "max_output" in reasons:
        return CapabilityMissing("No model here can answer at such length.", param="max_tokens")
    return Forbidden("No model here is for this tenant.", code="model_not_allowed")
