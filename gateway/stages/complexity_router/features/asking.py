"""What is asked in a request: its last turns, without what is wrapped around them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from gateway.core.chat import ChatRequest
from gateway.stages.complexity_router.features.lexicon import ASSENT, EMPTY

MOST_CHARS: Final = 2000
"""Characters that are looked at: half from the beginning, half from the end."""
MOST_TURNS: Final = 3
ENOUGH: Final = 6
"""Words with a meaning that stand for themselves; a shorter turn goes on from the one before it."""
_SHORT: Final = 200
"""Characters; a longer turn is no bare assent and needs no other, whatever it says."""
_WRAPPERS: Final = (
    "system-reminder",
    "environment_details",
    "environment_context",
    "additional_data",
    "user_info",
    "attached_files",
    "open_files",
    "ide_selection",
    "command-name",
    "local-command-stdout",
)
"""Elements that coding agents put around what people wrote."""
_MOST_WRAPPED: Final = 100
"""Elements of one name that are taken away."""
_AROUND: Final = 400
"""Characters at each end that are looked through for sentences which say nothing."""
_SENTENCE: Final = re.compile(r"[^.!?:\n]+[.!?:\n]*|[.!?:\n]+")
_WORD: Final = re.compile(r"\w+")


class Asked(Struct, frozen=True):
    """What the features are taken from."""

    text: str
    """At most `MOST_CHARS` and a line break of what was asked."""
    chars: int
    """How long it was in whole."""
    turns: int = 1
    tools: int = 0
    system_chars: int = 0


def asked_in(text: str) -> Asked:
    """Return a text that stands for itself."""
    stripped = plain(_unwrapped(text))
    return Asked(_capped(stripped), len(stripped))


def asked_by(request: ChatRequest) -> Asked:
    """Return what a request asks: its last turns and how large the rest is.

    A bare "yes" asks what it approves, which is the answer before it. A turn of a few words goes
    on from the user's turn before it, up to `MOST_TURNS`.
    """
    fields = request.fields
    messages = fields.get("messages")
    if not isinstance(messages, list) or request.endpoint == "completions":
        return asked_in("\n".join(_texts(fields.get("prompt"))))
    text = "\n".join(reversed(list(_last(messages))))
    tools = fields.get("tools")
    return Asked(
        _capped(text),
        len(text),
        turns=sum(message.get("role") == "user" for message in messages),
        tools=len(tools) if isinstance(tools, list) else 0,
        system_chars=_system_chars(fields, messages),
    )


def plain(text: str) -> str:
    """Return a text without sentences around it that say nothing of the task, such as "Hi!".

    Of a text that says nothing else, all of it.
    """
    head = [match.span() for match in _SENTENCE.finditer(text, 0, _AROUND)]
    start = next((at for at, end in head if not _says_nothing(text[at:end])), None)
    if start is None:
        start = head[-1][1] if head and head[-1][1] < len(text) else 0
    tail = [match.span() for match in _SENTENCE.finditer(text, max(start, len(text) - _AROUND))]
    ends = (end for at, end in reversed(tail) if not _says_nothing(text[at:end]))
    return text[start : next(ends, len(text))].strip()


def _last(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the last turns ask, the newest first."""
    users, words, approved = 0, 0, False
    for message in reversed(messages):
        role = message.get("role")
        if role != "user" and not (approved and role == "assistant"):
            continue
        text = plain(_unwrapped("\n".join(_texts(message.get("content")))))
        if not text:  # the results of tools are no turn of anybody
            continue
        if role == "assistant":
            yield text
            approved = False
            continue
        users += 1
        said = _few_words(text)
        approved = said is not None and ASSENT.issuperset(said)
        if not approved:
            yield text
            words += sum(word not in EMPTY for word in said or ())
        if said is None or words >= ENOUGH or users == MOST_TURNS:
            return


def _few_words(text: str) -> list[str] | None:
    """Return the words of a turn that may need an earlier one, None where it is too long for it."""
    return _WORD.findall(text.lower()) if len(text) <= _SHORT else None


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text


def _unwrapped(text: str) -> str:
    for name in _WRAPPERS if "</" in text else ():
        opening, closing, kept, end = f"<{name}>", f"</{name}>", [], 0
        for _ in range(_MOST_WRAPPED):
            start = text.find(opening, end)
            closed = text.find(closing, start) if start >= 0 else -1
            if closed < 0:
                break
            kept.append(text[end:start])
            end = closed + len(closing)
        if end:
            text = "".join((*kept, text[end:]))
    return text.strip()


def _says_nothing(sentence: str) -> bool:
    return all(word in EMPTY for word in _WORD.findall(sentence.lower()))


def _capped(text: str) -> str:
    if len(text) <= MOST_CHARS:
        return text
    return f"{text[: MOST_CHARS // 2]}\n{text[-(MOST_CHARS // 2) :]}"


def _system_chars(fields: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> int:
    told = sum(map(len, _texts(fields.get("system"))))
    for message in messages:
        if message.get("role") in {"system", "developer"}:
            told += sum(map(len, _texts(message.get("content"))))
    return told
