"""Lists of words, and the stem that the forms of one word share."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

_DOUBLED: Final = re.compile(r"([bdfglmnprtvz])\1\Z")
_KEPT: Final = frozenset({"us", "is", "ss", "as"})
_BRITISH: Final = (("isation", "ization"), ("ise", "ize"), ("yse", "yze"), ("our", "or"))
_IES: Final = 4
_ING: Final = 5
_LY: Final = 5
_ENDS: Final = 3
"""Letters that are left at least when an ending goes."""


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return what is left of a lower-case word without its ending: not always a word."""
    if len(word) <= _ENDS or not word.isalpha():
        return word
    word = _singular(word)
    for ending, other in _BRITISH:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            word = word.removesuffix(ending) + other
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= _ENDS and any(vowel in rest for vowel in "aeiouy"):
            word = _DOUBLED.sub(r"\1", rest)
            break
    if word.endswith("ly") and len(word) > _LY:
        word = word.removesuffix("ly")
    word = word.removesuffix("e") if len(word) > _ENDS else word
    return word[:-1] + "i" if word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > _IES:
        return word.removesuffix("ies") + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word.removesuffix("es")
    if word.endswith("s") and word[-2:] not in _KEPT and word != "news":
        return word.removesuffix("s")
    return word


def lines(name: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every line of a list."""
    for line in (files(__package__) / "lists" / f"{name}.txt").read_text("utf-8").splitlines():
        words = tuple(line.partition("#")[0].split())
        if words:
            yield words


def words(name: str) -> frozenset[str]:
    """Return all words of a list."""
    return frozenset(word for line in lines(name) for word in line)


def _first_of_each(name: str) -> Mapping[str, str]:
    """Map every word of a line to its first."""
    return {word: line[0] for line in lines(name) for word in line}


def _sets() -> Mapping[str, Mapping[int, str]]:
    """Map a stem to the sets it is in, and in each to the word that stands for it there."""
    found: dict[str, dict[int, str]] = {}
    for number, line in enumerate(lines("contrasts")):
        for choice in line:
            meant = choice.split("/")
            for word in meant:
                found.setdefault(stem(word), {})[number] = meant[0]
    return found


FUNCTION: Final = words("function")
STALE: Final = words("stale")
"""Words after which an answer depends on when it is asked; those of a phrase joined by hyphens."""
ACCOUNT: Final = words("account")
CONDITIONS: Final = words("conditions")
NEGATIONS: Final = words("negations")
COMMON: Final = frozenset(map(stem, words("common"))) | frozenset(map(stem, words("contrasts")))
UNITS: Final = _first_of_each("units")
MOMENTS: Final = _first_of_each("moments")
NUMBERS: Final = {word: line[0] for line in lines("numbers") for word in line[1:]}
ALIASES: Final = _first_of_each("alias")
"""Names of several words are joined by hyphens."""
BEGINNINGS: Final = frozenset(name.partition("-")[0] for name in ALIASES)
SAME: Final = {stem(word): stem(line[0]) for line in lines("same") for word in line}
CONTRASTS: Final = _sets()
