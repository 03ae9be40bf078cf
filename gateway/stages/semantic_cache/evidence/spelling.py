"""When two words are one, however they are written."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from gateway.stages.semantic_cache.evidence.reading import form_of

_DOUBLED: Final = re.compile(r"(.)\1")
_SWAPPED: Final = 2


def same_word(one: str, other: str) -> bool:
    """Tell whether two words are one, but for two letters that changed places or one doubled."""
    if form_of(one) == form_of(other):
        return True
    if len(one) != len(other):
        return _DOUBLED.sub(r"\1", one) == _DOUBLED.sub(r"\1", other)
    differ = [at for at in range(len(one)) if one[at] != other[at]]
    if len(differ) != _SWAPPED or differ[1] != differ[0] + 1:
        return False
    return one[differ[0]] + one[differ[1]] == other[differ[1]] + other[differ[0]]


def spelled_out(word: str, others: Sequence[str]) -> bool:
    """Tell whether it is the first letters of some of the others, or two of them in one."""
    if len(word) > 1 and word in "".join(other[0] for other in others):
        return True
    return any(one + two == word for one, two in pairwise(others))
