"""What a request asks: its last user message, taken out of all the rest, and made comparable."""

import re
from collections.abc import Mapping
from typing import Any, Final
from unicodedata import normalize

from msgspec import Struct

from gateway.core.chat import ChatRequest

LONGEST: Final = 2048
"""Characters of a question that is compared in its normal form; a longer one is as it is."""
_SHAPE: Final = frozenset({"stream", "stream_options"})
"""Fields that say how an answer is told, not what it is."""
_VERBATIM: Final = re.compile(
    r'(```.*?(?:```|\Z)|`[^`\n]+`|"[^"\n]*"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»'
    r"|(?<!\w)'[^'\n]+'(?!\w)|(?<!\w)‘[^’\n]+’(?!\w))",  # noqa: RUF001 - as people type them
    re.DOTALL,
)
_INDENTED: Final = re.compile(r"\n[ \t]+\S")
_SPACE: Final = re.compile(r"\s+")
_END: Final = ".!?…。！？"  # noqa: RUF001 - as other scripts end a sentence
_AROUND: Final = ".,;:!?…()[]'\"“”‘’*"  # noqa: RUF001 - quotation marks as people type them
_WITHIN: Final = str.maketrans("", "", "-'’")  # noqa: RUF001 - as above


class Question(Struct, frozen=True):
    """A request in two parts that together are all of it, but for how the answer is told."""

    text: str | None
    """The last user message; None where there is none of plain text alone."""
    rest: Mapping[str, Any]
    single: bool = False
    """Whether nothing was said before it."""


def question_of(request: ChatRequest) -> Question:
    """Take a request apart."""
    rest = {name: value for name, value in request.fields.items() if name not in _SHAPE}
    messages = rest.get("messages")
    if request.endpoint == "completions" or not isinstance(messages, list):
        return Question(None, rest)
    last = messages[-1]
    if last.get("role") != "user":
        return Question(None, rest)
    text, content = _apart(last.get("content"))
    if text is None:
        return Question(None, rest)
    rest["messages"] = [*messages[:-1], {**last, "content": content}]
    turns = [each for each in messages if each["role"] not in {"system", "developer"}]
    return Question(text, rest, len(turns) == 1)


def _apart(content: object) -> tuple[str | None, object]:
    """Return the one text of a message, and the message's content without it."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return None, content
    texts = [
        (index, part["text"])
        for index, part in enumerate(content)
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
    ]
    if len(texts) != 1:
        return None, content
    ((index, text),) = texts
    return text, [*content[:index], {**content[index], "text": ""}, *content[index + 1 :]]


def normal(text: str) -> str:
    """Return what two ways of writing the same question have in common.

    Unicode form, runs of spaces, the case of plain words and the punctuation at the end are
    evened out; code, quotations, abbreviations and whatever has a digit or sign in it stay.
    """
    text = normalize("NFC", text)
    if len(text) > LONGEST or _INDENTED.search(text):
        return text.strip()
    fold = text.isupper()
    parts = _VERBATIM.split(text)  # every other one is code or a quotation
    parts[::2] = [_even(part, shouted=fold) for part in parts[::2]]
    parts[-1] = _without_end(parts[-1])
    return "".join(parts).strip() or text.strip()


def _even(part: str, *, shouted: bool) -> str:
    spaced = _SPACE.sub(" ", part)
    return " ".join([_word(word, shouted=shouted) for word in spaced.split(" ")])


def _word(word: str, *, shouted: bool) -> str:
    """Return a plain word in lower case, and any other as it is."""
    core = word.strip(_AROUND).translate(_WITHIN)
    if not core.isalpha():
        return word
    plain = core[1:] == core[1:].lower()
    return word.lower() if plain or shouted else word


def _without_end(text: str) -> str:
    bare = text.rstrip(" " + _END)
    # `5!` is not 5.
    return text if bare and bare[-1].isdigit() and "!" in text[len(bare) :] else bare
