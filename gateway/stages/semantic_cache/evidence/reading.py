"""A text as words and signs, in one pass."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.stages.semantic_cache.evidence.lexicon import (
    FUNCTION,
    MOMENTS,
    NUMBERS,
    SAME,
    UNITS,
    stem,
)

_TOKEN: Final = re.compile(
    r"[A-Za-z](?:\+\+|#)(?!\w)"  # C++, F#
    r"|(?:[A-Za-z]\.){2,}"  # U.S., a.m.
    r"|[^\W\d_]+(?:['’][^\W\d_]+)*"  # noqa: RUF001 - the apostrophe as people type it
    r"|(?:\d+(?:[.,:/]\d+){0,8}|[½¼¾⅓⅔])(?:st|nd|rd|th)?(?![^\W_])"
    r"|\d+(?:[.,:/]\d+){0,8}"
    r"|[$€£¥₹°%]"
    r"|[.?!](?=\s)"
    r"|[-−+*×÷/^=<>≤≥](?=\s?[\d$€£])"  # noqa: RUF001 - signs as people type them
    r"|(?<=[\w)])\s?[+*×÷^=<>≤≥](?=\s?[\w(])"  # noqa: RUF001 - as above
)
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z|\d{1,2}(?:,\d{2})+,\d{3}\Z")
_SHORT: Final = {
    "cant": "can not", "dont": "do not", "doesnt": "does not", "didnt": "did not",
    "isnt": "is not", "arent": "are not", "wasnt": "was not", "wont": "will not",
    "couldnt": "could not", "shouldnt": "should not", "wouldnt": "would not",
    "havent": "have not", "hasnt": "has not", "cannot": "can not", "aint": "is not",
    "whats": "what is", "whos": "who is", "hows": "how is", "im": "i am", "ive": "i have",
    "gonna": "will", "wanna": "want to",
}  # fmt: skip
_IRREGULAR: Final = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}


class Word(NamedTuple):
    """A word as it was typed, in lower case, and as what stands for it and its like."""

    typed: str
    lower: str
    form: str
    opens: bool
    """It is the first of a sentence, where every word has a capital."""


def read(text: str) -> Iterator[Word]:
    """Yield the words; ends of sentences and most signs are left out."""
    opens = True
    for match in _TOKEN.finditer(text):
        typed = match.group().strip()
        if typed in {".", "?", "!"}:
            opens = True
            continue
        if typed == "-" and text[match.start() - 1 : match.start()].isalnum():
            continue  # a range or a compound, not a sign
        for lower in _plain(typed):
            yield Word(typed, lower, form_of(lower), opens)
        opens = False


@lru_cache(maxsize=8192)
def form_of(lower: str) -> str:
    """Return what all words of this meaning have in common."""
    known = NUMBERS.get(lower) or UNITS.get(lower) or MOMENTS.get(lower)
    if known:
        return known
    stemmed = stem(lower)
    return SAME.get(stemmed, stemmed)


@lru_cache(maxsize=8192)
def _plain(typed: str) -> tuple[str, ...]:
    """Return a token in lower case, a contraction as its words."""
    lower = typed.lower().replace("’", "'")  # noqa: RUF001 - the apostrophe as people type it
    if lower[0].isdigit():
        figure = lower.replace(",", "") if _THOUSANDS.match(lower) else lower.strip(",")
        return (figure.lstrip("0") or "0",) if figure.isdigit() else (figure,)
    if "'" not in lower:
        return tuple(_SHORT.get(lower, lower.rstrip(".")).split()) or (lower,)
    if lower.endswith("n't"):
        verb = lower.removesuffix("n't")
        return tuple(filter(None, (_IRREGULAR.get(verb, verb), "not")))
    head, _, tail = lower.partition("'")
    if head in {"what", "who", "how", "where", "it", "that", "there", "he", "she"} and tail == "s":
        return head, "is"
    return tuple(filter(None, (head, {"ll": "will", "d": "would"}.get(tail, ""))))


def is_figure(lower: str) -> bool:
    """Tell whether it is a number, in figures or as a word."""
    return lower[0].isdigit() or lower in NUMBERS


@lru_cache(maxsize=8192)
def says_nothing(lower: str) -> bool:
    """Tell whether it only holds other words together."""
    return lower in FUNCTION and lower not in UNITS
