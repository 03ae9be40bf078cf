"""The words that differ between the dialects: stop reasons, usage, efforts, tool ids, losses."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct

from gateway.core.chat import ChatRequest
from gateway.core.errors import BadRequest, CallerError, CapabilityMissing
from gateway.core.ports import Call
from gateway.core.reply import Usage


class AnswerForm(Struct, frozen=True):
    """What the reply to a translated chat request must be turned back from.

    `json_tool` is the forced tool whose input is the answer's content, empty for none;
    `functions` is true when the caller spoke of functions, as OpenAI did before tools.
    """

    json_tool: str = ""
    functions: bool = False


PLAIN: Final = AnswerForm()


class Translated(Struct, frozen=True):
    """A request in the upstream's dialect, and the parameters that were left out of it."""

    request: ChatRequest
    dropped: tuple[str, ...] = ()
    form: AnswerForm = PLAIN


# --- why an answer ended ------------------------------------------------------------------------

FINISH_OF_STOP: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
}
STOP_OF_FINISH: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def finish_reason(stop_reason: str | None, *, called: bool) -> str:
    """Return OpenAI's finish reason; `called` (a tool call was emitted) wins over a plain stop."""
    finish = FINISH_OF_STOP.get(stop_reason or "", "stop")
    return "tool_calls" if called and finish == "stop" else finish


def stop_reason(finish: str | None, *, called: bool, stop_sequence: str | None = None) -> str:
    """Return Anthropic's stop reason; `called` wins over a plain stop, then a known sequence."""
    reason = STOP_OF_FINISH.get(finish or "", "end_turn")
    if reason != "end_turn":
        return reason
    if called:
        return "tool_use"
    return "stop_sequence" if stop_sequence else reason


# --- usage --------------------------------------------------------------------------------------


def messages_usage(usage: Usage) -> dict[str, Any]:
    """Return Anthropic's usage object: `input_tokens` without the cached ones, never below 0."""
    said: dict[str, Any] = {
        "input_tokens": max(0, usage.input - usage.cached - usage.cache_write),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return said


def chat_usage(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's usage object, details included."""
    prompt = {"cached_tokens": usage.cached}
    if usage.cache_write:
        prompt["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def merge_usage(known: dict[str, Any], newer: object) -> None:
    """Update `known` with a cumulative usage object: the last number that is not null counts."""
    if isinstance(newer, dict):
        known.update((name, value) for name, value in newer.items() if value is not None)


# --- effort and thinking ------------------------------------------------------------------------

MIN_BUDGET: Final = 1024
BUDGET_OF_EFFORT: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 4096,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
ADAPTIVE_EFFORT: Final[Mapping[str, str]] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}


def effort_of_budget(budget: int) -> str:
    """Return the OpenAI effort whose budget is the smallest that covers `budget` tokens."""
    for effort in ("low", "medium", "high"):
        if budget <= BUDGET_OF_EFFORT[effort]:
            return effort
    return "high" if budget < BUDGET_OF_EFFORT["xhigh"] else "xhigh"


# --- tool ids -----------------------------------------------------------------------------------

MAX_OPENAI_ID: Final = 40
_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def anthropic_tool_id(call_id: str) -> str:
    """Return an id that Anthropic takes: the same if legal, else the same new one every time."""
    return call_id if _LEGAL_ID.fullmatch(call_id) else "toolu_" + _digest(call_id)


def openai_tool_id(use_id: str) -> str:
    """Return an id that OpenAI takes (40 characters), the same new one every time."""
    return use_id if 0 < len(use_id) <= MAX_OPENAI_ID else "call_" + _digest(use_id)


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


# --- what cannot be said ------------------------------------------------------------------------

_PLAIN_NAME = re.compile(r"(?=.{1,40}\Z)[a-z]+(?:_[a-z]+)*[0-9]{0,2}")


class Losses:
    """Decides what becomes of a parameter that the target cannot take, and remembers the names.

    With leave to drop, it is dropped and listed. Without: sampling is dropped for a target that
    the gateway chose, anything else is then a missing capability; the caller's own choice of
    model makes it a BadRequest.
    """

    def __init__(self, call: Call) -> None:
        self._may_drop = call.drop_params
        self._chosen = call.target.chosen
        self._keeps_marks = call.target.model.cache_marks
        self._names: dict[str, None] = {}

    @property
    def dropped(self) -> tuple[str, ...]:
        """What was dropped, in the order it was met, each name once."""
        return tuple(self._names)

    def note(self, what: str) -> None:
        """List something that was changed or left out in any case. `what` is our own text."""
        self._names[what] = None

    def mark(self, source: Mapping[str, Any], target: dict[str, Any]) -> None:
        """Carry `cache_control` over to a provider that takes it, else list it as dropped."""
        control = source.get("cache_control")
        if control is None:
            return
        if self._keeps_marks:
            target["cache_control"] = control
        else:
            self.note("cache_control")

    def sampling(self, param: str) -> None:
        """Drop a parameter that only tunes the sampling. Raises BadRequest."""
        if self._may_drop or self._chosen:
            self.note(param)
            return
        raise _unsupported(param)

    def parameter(self, param: str, listed: str = "") -> None:
        """Drop a parameter that changes what is asked. Raises BadRequest or CapabilityMissing.

        `listed` is what to call it where it is dropped, when that is not the same.
        """
        if self._may_drop:
            self.note(listed or param)
            return
        raise self.refusal(param)

    def refusal(self, param: str) -> CallerError:
        """Return the error for what is never dropped, since the answer would be another one."""
        return missing(param) if self._chosen else _unsupported(param)

    def unknown(self, name: str) -> None:
        """Drop a field that this house does not know. Raises BadRequest.

        Its name is the caller's text, so it is shown only where it cannot be much else than a name.
        """
        plain = bool(_PLAIN_NAME.fullmatch(name))
        if self._may_drop:
            self.note(name if plain else "unnamed")
            return
        if plain:
            raise _unsupported(name)
        raise BadRequest(
            "The request has a parameter that this model cannot take, and whose name is not shown"
            " since it may be anything.",
            code="unsupported_parameter",
        )


def missing(param: str) -> CapabilityMissing:
    """Return the error for what this model cannot do; `param` is a name of ours."""
    return CapabilityMissing(f"This model does not support '{param}'.", param=param)


def _unsupported(param: str) -> BadRequest:
    return BadRequest(
        f"This model does not support '{param}'. Leave it out.",
        code="unsupported_parameter",
        param=param,
    )
