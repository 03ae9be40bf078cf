"""What a question says that decides its answer, taken out once."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gateway.stages.semantic_cache.evidence.lexicon import (
    ALIASES,
    BEGINNINGS,
    COMMON,
    FUNCTION,
    MOMENTS,
    NEGATIONS,
    NUMBERS,
    UNITS,
    stem,
)
from gateway.stages.semantic_cache.evidence.phrases import phrases_of
from gateway.stages.semantic_cache.evidence.reading import (
    Word,
    is_figure,
    read,
    says_nothing,
)

LONGEST: Final = 8192
"""Characters that are read: several times what an embedder reads."""
_LITERAL: Final = re.compile(
    r"`([^`\n]{1,300})`"
    r'|"([^"\n]{1,300})"'
    r"|“([^”\n]{1,300})”"
    r"|\s'([^'\n]{2,300})'(?=[\s?.!,]|\Z)"
    r"|\b(_*[^\W_]+(?:_+[^\W_]+)+|[a-z]{2,}[A-Z]\w*|\w+\(\))"  # snake_case, camelCase, call()
    r"|(?<![\w.~/-])((?:[\w.~-]*/){2,}[\w.~-]*|\w+\.(?:py|js|ts|json|ya?ml|txt|csv|md|html|exe|dll|sh|go|rs)\b)"
    r"|(\s--?[a-zA-Z][\w-]*)"
)
_KINDS: Final = {
    "why": "why", "who": "who", "whom": "who", "whose": "who", "when": "when", "where": "where",
    "what": "what", "which": "what", "how": "how", "explain": "what", "describe": "what",
    "define": "what", "list": "what", "name": "what",
}  # fmt: skip
_EMPTY: Final = re.compile(
    r"\b(?:or|why) not\b"
    r"|\A\W*(?:(?:hi|hello|hey|please)\W+)*(?:can|could|would|will) you (?:please |kindly )?"
    r"(?=(?:tell|explain|describe|show|give|list|help|write|summari[sz]e|translate|define)\b)",
    re.IGNORECASE,
)
"""What adds nothing to a question."""
_MAY_I: Final = re.compile(r"\bis it (?:possible|ok|okay) to\b", re.IGNORECASE)
_FREE: Final = re.compile(r"\b(\w{1,40})-free\b", re.IGNORECASE)
_WHETHER: Final = {
    "can": "may", "could": "may", "may": "may", "might": "may", "should": "must", "must": "must",
    "shall": "must", "need": "must", "is": "be", "are": "be", "was": "be", "were": "be",
    "am": "be", "do": "be", "does": "be", "did": "be", "will": "be", "would": "be", "has": "be",
    "have": "be", "had": "be",
}  # fmt: skip
_AMOUNTS: Final = frozenset(
    {"many", "much", "long", "often", "far", "old", "tall", "big", "deep", "fast", "high", "large"}
)
_METHODS: Final = frozenset(
    {"way", "ways", "method", "methods", "step", "steps", "tip", "tips", "technique", "techniques"}
)
_REASONS: Final = frozenset({"reason", "reasons"})
_LONGEST_NAME: Final = 4
_PAST: Final = frozenset({"was", "were", "did", "had"})
_FUTURE: Final = frozenset({"will", "shall"})


class Facts(Struct, frozen=True):
    """Everything that `veto` compares. Words are forms: what all words of one meaning share."""

    forms: Counter[str]
    """How often each word occurs."""
    typed: dict[str, str]
    """For each form a word as it was typed, in lower case."""
    content: tuple[str, ...]
    """The words that say something, and figures, in order."""
    names: frozenset[str]
    """Forms that name something: written like a name, or no common word."""
    figures: tuple[str, ...]
    units: frozenset[str]
    moments: frozenset[str]
    negated: tuple[str, ...]
    """For each negation what it is about, in alphabetical order."""
    literals: frozenset[str]
    phrases: tuple[tuple[str, ...], ...]
    """What the words in `content` belong to: see `phrases_of`."""
    kind: str
    tense: str


def facts(text: str) -> Facts:
    """Read a question. Takes time in proportion to its length, and no more than 8,192 of it."""
    text = text[:LONGEST]
    plain = _FREE.sub(r"without \1", _MAY_I.sub("can I", _EMPTY.sub("", text)))
    read_words = _joined(list(read(plain)))
    content = tuple(word.form for word in read_words if not says_nothing(word.lower))
    lowers = [word.lower for word in read_words]
    kind = _kind(lowers) or ("what" if text.rstrip().endswith("?") else "")
    return Facts(
        forms=Counter(word.form for word in read_words),
        typed={word.form: word.lower for word in read_words},
        content=content,
        names=frozenset(word.form for word in read_words if _names(word)),
        figures=tuple(_figures(lowers)),
        units=frozenset(UNITS[lower] for lower in lowers if lower in UNITS),
        moments=frozenset(_moments(lowers)),
        negated=tuple(sorted(_negated(read_words))),
        literals=frozenset(_literals(text)),
        phrases=phrases_of(read_words),
        kind=kind,
        tense=_tense(lowers, kind),
    )


def _joined(given: Sequence[Word]) -> list[Word]:
    """Write names that have several spellings in one of them."""
    joined: list[Word] = []
    skipped = 0
    for at, word in enumerate(given):
        if skipped:
            skipped -= 1
            continue
        name = ""
        if word.lower in BEGINNINGS and word.typed != "us":
            name, skipped = _alias(given[at : at + _LONGEST_NAME])
        joined.append(Word(word.typed, name, name, word.opens) if name else word)
    return joined


def _alias(given: Sequence[Word]) -> tuple[str, int]:
    """Return what stands for the name that begins here, and how many words more it has."""
    for length in range(len(given), 0, -1):
        name = ALIASES.get("-".join(word.lower for word in given[:length]))
        if name:
            return name, length - 1
    return "", 0


def _names(word: Word) -> bool:
    lower, typed = word.lower, word.typed
    if lower in FUNCTION or is_figure(lower) or lower in UNITS or lower in MOMENTS:
        return typed.isupper() and len(typed) == 1 and typed not in {"I", "A"}
    if stem(lower) not in COMMON and word.form not in COMMON:
        return lower not in NEGATIONS
    return typed[0].isupper() and not word.opens


def _figures(lowers: Sequence[str]) -> list[str]:
    """Return figures in order, each with what it counts where that is a unit."""
    found: list[str] = []
    before = ""
    for lower in lowers:
        if is_figure(lower) or (not lower[0].isalnum() and lower not in UNITS):
            found.append(NUMBERS.get(lower, lower))
        elif before and is_figure(before) and (lower in UNITS or len(lower) == 1):
            found[-1] += UNITS.get(lower, lower)
        before = lower
    return found


def _moments(lowers: Sequence[str]) -> Iterator[str]:
    for before, lower in zip(["", *lowers], lowers, strict=False):
        if lower in MOMENTS and (lower != "am" or before[:1].isdigit()):
            yield MOMENTS[lower]


def _negated(given: Sequence[Word]) -> list[str]:
    """Return, for each negation, the first word after it that says something."""
    found: list[str] = []
    waiting = 0
    for word in given:
        if word.lower in NEGATIONS:
            waiting += 1
        elif waiting and not says_nothing(word.lower):
            found.extend([word.form] * waiting)
            waiting = 0
    return found + [""] * waiting


def _literals(text: str) -> list[str]:
    return ["".join(groups).strip() for groups in _LITERAL.findall(text)]


def _kind(lowers: Sequence[str]) -> str:
    """Return what sort of answer is wanted; empty where that is not clear."""
    if lowers and lowers[0] in _WHETHER:
        return f"whether {_WHETHER[lowers[0]]}"
    for lower, after in zip(lowers, [*lowers[1:], ""], strict=False):
        kind = _KINDS.get(lower)
        if kind == "how" and after in _AMOUNTS:
            return f"how {after}"
        if kind == "what" and not _METHODS.isdisjoint(lowers):
            return "how"
        if kind == "what" and not _REASONS.isdisjoint(lowers):
            return "why"
        if kind:
            return kind
    return ""


def _tense(lowers: Sequence[str], kind: str) -> str:
    """Return when it is, where that may change the answer."""
    past = any(lower in _PAST for lower in lowers)
    if past or kind not in {"who", "what", "when"}:
        return "past" if past else ""
    return "future" if any(lower in _FUTURE for lower in lowers) else ""
