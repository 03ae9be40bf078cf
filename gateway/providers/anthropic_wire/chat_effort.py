"""OpenAI's reasoning effort as Anthropic's thinking, whichever form the model takes."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.core.catalogue import Model
from gateway.providers.anthropic_wire.chat_content import Block, bad
from gateway.providers.anthropic_wire.vocabulary import (
    ADAPTIVE_EFFORT,
    BUDGET_OF_EFFORT,
    MIN_BUDGET,
    Losses,
)

TEXT: Final = 5
"""One part in so many of a token limit is kept from thinking."""
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


def think(
    body: dict[str, Any], effort: object, model: Model, losses: Losses, *, forced: bool
) -> None:
    """Put `reasoning_effort` into `body`, whose messages and max_tokens are set already.

    Where Anthropic would refuse to think (a forced tool, a prefill, a tool turn that came back
    without its thinking), this one turn goes without, and the list of dropped parameters says so.
    """
    if effort is None or effort == "none":
        return
    if not isinstance(effort, str) or effort not in BUDGET_OF_EFFORT:
        raise bad("reasoning_effort", "none, minimal, low, medium, high, xhigh or max")
    if model.thinking == "none":
        losses.parameter("reasoning_effort")
        return
    hindrance = _hindrance(body["messages"], forced=forced)
    if hindrance:
        losses.note(f"reasoning_effort ({hindrance})")
        return
    if model.thinking == "budget":
        _budget(body, BUDGET_OF_EFFORT[effort], losses)
        return
    body["thinking"] = {"type": "adaptive"}
    level = ADAPTIVE_EFFORT[effort]
    if model.thinking == "both" and level == "xhigh":
        level = "high"  # Claude 4.6 knows no xhigh, and max would be more than was asked
    body["output_config"] = {**body.get("output_config", {}), "effort": level}


def _hindrance(turns: Sequence[Block], *, forced: bool) -> str:
    if forced:
        return "a tool is forced"
    if turns[-1]["role"] == "assistant":
        return "the answer is prefilled"
    for turn in reversed(turns):
        kinds = [block["type"] for block in turn["content"]] if turn["role"] == "assistant" else []
        if "tool_use" in kinds and _answers(turns[-1]) and not _THOUGHTS.intersection(kinds):
            return "the tool turn came back without its thinking"
        if kinds:
            break
    return ""


def _answers(turn: Block) -> bool:
    return any(block["type"] == "tool_result" for block in turn["content"])


def _budget(body: dict[str, Any], budget: int, losses: Losses) -> None:
    """Think within `max_tokens`, which bounds what the caller pays; a fifth is left for text."""
    limit = body["max_tokens"]
    budget = min(budget, limit - limit // TEXT)
    if budget < MIN_BUDGET:
        losses.note("reasoning_effort (max_tokens leaves no room)")
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
