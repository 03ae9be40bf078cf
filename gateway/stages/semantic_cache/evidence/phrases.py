"""A question in phrases: some may change places, the words in them may not."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from gateway.stages.semantic_cache.evidence.reading import Word, says_nothing

_LOOSE: Final = frozenset({"in", "at", "on", "for", "with", "by", "during", "about"})
"""What follows one of these says the same wherever it stands."""
_EVEN: Final = frozenset({"between", "among"})


def phrases_of(given: Sequence[Word]) -> tuple[tuple[str, ...], ...]:
    """Return the words that say something, grouped: first what stands anywhere, then the rest.

    Each group begins with the word that leads it in; what is `between` others is in their
    alphabetical order.
    """
    loose: list[list[str]] = []
    rest: list[str] = []
    group: list[str] = rest
    lead = ""
    for word in given:
        if word.lower in _LOOSE or word.lower in _EVEN:
            group, lead = [word.lower], word.lower
            loose.append(group)
        elif lead and _ends(word, lead):
            group, lead = rest, ""
        joins = lead in _EVEN and word.lower == "and"
        if word.lower != lead and (joins or not says_nothing(word.lower)):
            group.append(word.form)
    # Those after one preposition keep their order: changing places they say something else.
    loose.sort(key=itemgetter(0))
    return (*map(_closed, loose), tuple(rest))


def _ends(word: Word, lead: str) -> bool:
    if lead in _EVEN:
        return word.opens
    return word.opens or (says_nothing(word.lower) and word.lower not in {"the", "a", "an"})


def _closed(group: Sequence[str]) -> tuple[str, ...]:
    if group[0] not in _EVEN or "and" not in group:
        return tuple(group)
    middle = group.index("and")
    return (group[0], *sorted((" ".join(group[1:middle]), " ".join(group[middle + 1 :]))))
