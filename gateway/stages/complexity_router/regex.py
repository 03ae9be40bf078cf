"""Regular expressions of policies: only those whose cost is bounded, whatever text they meet."""

import re
from collections.abc import Iterable
from re import _constants, _parser  # type: ignore[attr-defined]  # no types there
from typing import Any, Final

from gateway.stages.complexity_router.features.asking import MOST_CHARS

MOST_STEPS: Final = 5_000_000
"""Of one search of a text of `MOST_CHARS`: less than a tenth of a second, at the worst."""
_LONGEST: Final = 500
_CHARS: Final = MOST_CHARS + 1
_ONE_WAY: Final = frozenset(
    {
        *(_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY),
        *(_constants.IN, _constants.AT, _constants.CATEGORY),
    }
)


def bounded(pattern: str) -> re.Pattern[str]:
    """Return the pattern, compiled. Raises ValueError with what is wrong with it.

    A search tries a match at every character, and each match in every way that its parts allow.
    """
    if len(pattern) > _LONGEST:
        raise ValueError(f"this is longer than {_LONGEST} characters.")
    try:
        ways, found = _ways(_parser.parse(pattern)), re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as problem:
        raise ValueError(f"this is no regular expression: {problem}.") from problem
    if ways * _CHARS > MOST_STEPS:
        raise ValueError(
            f"this may match in {ways:,} ways at each character, which takes too long. Bound"
            " what repeats, as in `.{0,40}`."
        )
    return found


def _ways(parts: Iterable[Any]) -> int:
    """Return in how many ways a match can go on at one character, at most."""
    ways = 1
    for kind, given in parts:
        if kind in _ONE_WAY:
            continue
        if kind is _constants.SUBPATTERN:
            ways *= _ways(given[-1])
        elif kind is _constants.BRANCH:
            ways *= sum(map(_ways, given[1]))
        elif kind in {_constants.MAX_REPEAT, _constants.MIN_REPEAT}:
            ways *= _repeated(*given)
        else:
            raise ValueError("look-arounds and references back are not read here.")
    return ways


def _repeated(least: int, most: int, body: Iterable[Any]) -> int:
    inner = _ways(body)
    if inner > 1 and most > 1:
        raise ValueError("this repeats what may itself match in several ways.")
    return inner * (min(most, _CHARS) - min(least, _CHARS) + 1)
