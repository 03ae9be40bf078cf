"""Questions that are not compared with any: nothing in the words tells their answers apart."""

import re
from collections.abc import Sequence
from typing import Final

from gateway.stages.semantic_cache.evidence.facts import LONGEST
from gateway.stages.semantic_cache.evidence.lexicon import ACCOUNT, COMMON, FUNCTION, STALE, stem
from gateway.stages.semantic_cache.evidence.reading import read, says_nothing

MOST_FOREIGN: Final = 0.1
"""Letters of other scripts among all letters: names are written in them, questions are not."""
LEAST_ENGLISH: Final = 0.25
"""Known words among all words."""
FEW: Final = 4
"""So many words are too few to tell a language by."""
_CODE: Final = re.compile(r"```|~~~|^[^\n]*[;{}][ \t]*$|^(?:\t| {4,})\S", re.MULTILINE)
_LATIN: Final = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_LONGEST_PHRASE: Final = 4


def unfit(text: str, *, truncated: bool, languages: frozenset[str]) -> str:
    """Return why a question may not be compared at all: empty when it may.

    `truncated`: the embedder did not read all of it. `languages`: the scripts that the embedder
    understands, empty for every one.
    """
    if truncated or len(text) > LONGEST:
        return "truncated"
    if _CODE.search(text):
        return "code"
    if languages and _foreign(text):
        return "script"
    words = [word.lower for word in read(text)]
    if languages and _unknown(words):
        return "language"
    if _has_phrase(words, STALE):
        return "time_dependent"
    if _own(words):
        return "personal"
    return "vague" if all(map(says_nothing, words)) else ""


def _foreign(text: str) -> bool:
    letters = len(_LETTER.findall(text))
    return letters - len(_LATIN.findall(text)) > MOST_FOREIGN * letters


def _unknown(words: Sequence[str]) -> bool:
    letters = [word for word in words if word.isalpha()]
    known = sum(word in FUNCTION or stem(word) in COMMON for word in letters)
    return len(letters) > FEW and known < LEAST_ENGLISH * len(letters)


def _has_phrase(words: Sequence[str], phrases: frozenset[str]) -> bool:
    return any(
        "-".join(words[at : at + length]) in phrases
        for at in range(len(words))
        for length in range(1, _LONGEST_PHRASE + 1)
    )


def _own(words: Sequence[str]) -> bool:
    """Tell whether it asks for what belongs to whoever asks."""
    own = zip(words, words[1:], [*words[2:], ""], strict=False)
    return any(first in {"my", "our"} and not ACCOUNT.isdisjoint(after) for first, *after in own)
