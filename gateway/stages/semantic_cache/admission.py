"""Which answers are good enough to be given to others, and in which form they are kept."""

from typing import Any, Final

from msgspec import Struct

from gateway.core import wire
from gateway.core.chat import Endpoint
from gateway.core.notes import Notes, Routed
from gateway.core.reply import Answered, Tally

_ITS_OWN: Final = {"id": None, "created": None}
"""What every replay has anew."""
_ENDED: Final = frozenset({"end_turn", "stop_sequence"})
_TEXTS: Final = frozenset({"text", "thinking", "redacted_thinking"})
_BAD_ENDS: Final = {
    "length": "unfinished",
    "max_tokens": "unfinished",
    "content_filter": "unfinished",
    "pause_turn": "unfinished",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "refusal": "refusal",
}
"""By the finish or stop reason of a stream, of whichever dialect."""


class _Message(Struct, gc=False):
    content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class _Choice(Struct, gc=False):
    finish_reason: Any = None
    message: _Message | None = None
    text: Any = None


class _Completion(Struct, gc=False):
    choices: list[_Choice] = []
    error: Any = None


class _Block(Struct, gc=False):
    type: str = ""
    text: Any = None


class _Reply(Struct, gc=False):
    type: str = ""
    stop_reason: Any = None
    content: list[_Block] = []


_read_completion: Final = wire.decoder(_Completion).decode
_read_reply: Final = wire.decoder(_Reply).decode


def unfit(body: bytes, endpoint: Endpoint) -> str:
    """Return why a whole answer may not be given to others, empty when it may."""
    try:
        if endpoint == "messages":
            return _unfit_reply(_read_reply(body))
        choices = _read_completion(body)
    except ValueError:
        return "garbage"
    if choices.error is not None:
        return "error"
    if not choices.choices:
        return "empty"
    return next(filter(None, map(_unfit_choice, choices.choices)), "")


def unfit_source(answered: Answered, notes: Notes) -> str:
    """Return why not, by who answered: only whom the request or the policy chose counts."""
    if answered.degraded or answered.dropped:
        return "degraded"
    routed = notes.all(Routed)
    if any(note.fallback for note in routed):
        return "fallback"
    if routed and answered.model:
        first, chosen = routed[0], (answered.provider, answered.model)
        if (first.provider, first.model) != chosen:
            return "fallback"
    return ""


def unfit_end(tally: Tally) -> str:
    """Return why not, by how a stream ended; empty where the whole of it must be looked at."""
    if not tally.clean or tally.error:
        return "cut"
    return _BAD_ENDS.get(tally.finish or "", "")


def stored_form(body: bytes) -> bytes:
    """Return an answer without what every replay has anew; all other bytes stay as they are."""
    return wire.replace_fields(body, _ITS_OWN)


def text_of(body: bytes, endpoint: Endpoint) -> str:
    """Return the text of a whole answer, empty where it has none or several."""
    try:
        if endpoint == "messages":
            blocks = _read_reply(body).content
            return "".join(str(each.text) for each in blocks if each.type == "text")
        choices = _read_completion(body).choices
    except ValueError:
        return ""
    if len(choices) != 1:
        return ""
    message = choices[0].message
    text = choices[0].text if message is None else message.content
    return text if isinstance(text, str) else ""


def _unfit_choice(choice: _Choice) -> str:
    message = choice.message
    if message is not None and (message.tool_calls or message.function_call):
        return "tool_call"
    if message is not None and message.refusal:
        return "refusal"
    if choice.finish_reason != "stop":
        return "unfinished"
    if message is None:
        return "" if isinstance(choice.text, str) and choice.text.strip() else "empty"
    if message.audio:
        return "audio"
    return "" if isinstance(message.content, str) and message.content.strip() else "empty"


def _unfit_reply(reply: _Reply) -> str:
    if reply.type != "message":
        return "error"
    if reply.stop_reason == "refusal":
        return "refusal"
    if any(block.type not in _TEXTS for block in reply.content):
        return "tool_call"
    if reply.stop_reason not in _ENDED:
        return "unfinished"
    said = any(isinstance(block.text, str) and block.text.strip() for block in reply.content)
    return "" if said else "empty"
