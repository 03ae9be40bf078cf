"""The gates: each compares one thing that two questions say."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Final

from msgspec import Struct

from gateway.stages.semantic_cache.evidence.facts import Facts
from gateway.stages.semantic_cache.evidence.lexicon import CONDITIONS, CONTRASTS, stem
from gateway.stages.semantic_cache.evidence.reading import says_nothing
from gateway.stages.semantic_cache.evidence.spelling import same_word, spelled_out

MOST: Final = 24
"""Words that one question may have and the other not; more, and they are two."""
_BE: Final = frozenset({"is", "are", "was", "were", "be", "been", "being"})
_PREFIXES: Final = frozenset({"un", "non", "in", "im", "il", "ir", "dis", "mis", "de", "anti"})


class Pair(Struct, frozen=True):
    """Two questions, and the words that only one of them has, by form."""

    asked: Facts
    stored: Facts
    mine: Mapping[str, str]
    theirs: Mapping[str, str]


def veto(asked: Facts, stored: Facts) -> str:
    """Return the name of the gate that keeps two questions apart; empty when none does.

    It is the same whichever of them is asked.
    """
    pair = Pair(asked, stored, _only(asked, stored), _only(stored, asked))
    for name, closed in GATES.items():
        if closed(pair):
            return name
    return ""


def _only(one: Facts, other: Facts) -> Mapping[str, str]:
    there = other.forms
    return {
        form: one.typed[form] for form, count in one.forms.items() if count > there.get(form, 0)
    }


def number(pair: Pair) -> bool:
    """Compare figures, each with its unit."""
    return sorted(pair.asked.figures) != sorted(pair.stored.figures)


def unit(pair: Pair) -> bool:
    """Compare units and currencies, which are not converted."""
    return pair.asked.units != pair.stored.units


def date(pair: Pair) -> bool:
    """Compare days, months and times of day."""
    return pair.asked.moments != pair.stored.moments


def quoted(pair: Pair) -> bool:
    """Compare quotations, code, identifiers, paths and options."""
    return pair.asked.literals != pair.stored.literals


def negation(pair: Pair) -> bool:
    """Compare how often something is negated, and what."""
    asked, stored = pair.asked, pair.stored
    if len(asked.negated) != len(stored.negated):
        return True
    if _said(asked.negated, stored) or _said(stored.negated, asked):
        return True
    words = product(pair.mine.values(), pair.theirs.values())
    return any(_opposite(one, other) for one, other in words)


def _said(negated: tuple[str, ...], other: Facts) -> bool:
    """Tell whether the other says without a negation what is negated here."""
    return any(word in other.content and word not in other.negated for word in negated)


def _opposite(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if long.endswith("less"):
        return long.removesuffix("less") == short.removesuffix("ful")
    return long.endswith(short) and long.removesuffix(short) in _PREFIXES


def antonym(pair: Pair) -> bool:
    """Look for words that exclude each other, in the place of one another or beside it."""
    mine, theirs = pair.mine.values(), pair.theirs.values()
    return (
        any(_exclude(one, other) for one, other in product(mine, theirs))
        or any(_exclude(one, other) for one in mine for other in _beside(one, pair.stored))
        or any(_exclude(one, other) for one in theirs for other in _beside(one, pair.asked))
    )


def _exclude(one: str, other: str) -> bool:
    here, there = CONTRASTS.get(stem(one)), CONTRASTS.get(stem(other))
    if not here or not there:
        return False
    return any(there.get(each, word) != word for each, word in here.items())


def _beside(word: str, other: Facts) -> Sequence[str]:
    """Return the words there that say something, if this one may exclude any."""
    if says_nothing(word) or stem(word) not in CONTRASTS:
        return ()
    return [other.typed[form] for form in other.content]


def entity(pair: Pair) -> bool:
    """Compare names, and words that are no common ones."""
    asked, stored = pair.asked, pair.stored
    return not (
        _accounted(asked.names, pair.mine, pair.theirs, stored)
        and _accounted(stored.names, pair.theirs, pair.mine, asked)
    )


def _accounted(
    names: frozenset[str], mine: Mapping[str, str], theirs: Mapping[str, str], other: Facts
) -> bool:
    """Tell whether the other question has each of these names, in some spelling."""
    for name in names & mine.keys():
        word = mine[name]
        if not any(same_word(word, each) for each in theirs.values()) and not spelled_out(
            word, [other.typed[form] for form in other.content]
        ):
            return False
    return True


def order(pair: Pair) -> bool:
    """Compare the order of what both say; phrases with a preposition may stand anywhere."""
    asked, stored = pair.asked, pair.stored
    if asked.forms["by"] != stored.forms["by"] and _passive(asked) != _passive(stored):
        return True
    here = [form for form in asked.content if asked.forms[form] == stored.forms[form]]
    there = [form for form in stored.content if asked.forms[form] == stored.forms[form]]
    return here != there and asked.phrases != stored.phrases


def _passive(one: Facts) -> bool:
    return "by" in one.forms and not _BE.isdisjoint(one.forms)


def question(pair: Pair) -> bool:
    """Compare what sort of answer is wanted."""
    return pair.asked.kind != pair.stored.kind


def tense(pair: Pair) -> bool:
    """Tell what was, or is to come, from what is."""
    return pair.asked.tense != pair.stored.tense


def word(pair: Pair) -> bool:
    """Look for a word here and another there that are not known to mean the same."""
    mine = [each for each in pair.mine.values() if not says_nothing(each)]
    theirs = [each for each in pair.theirs.values() if not says_nothing(each)]
    if not mine or not theirs:
        return False
    return not (_all_in(mine, theirs) and _all_in(theirs, mine))


def _all_in(words: Sequence[str], others: Sequence[str]) -> bool:
    return all(any(same_word(word, other) for other in others) for word in words)


def condition(pair: Pair) -> bool:
    """Look for a condition that only one of them has."""
    return any(word in CONDITIONS for words in (pair.mine, pair.theirs) for word in words.values())


def length(pair: Pair) -> bool:
    """Refuse where one of them says much more."""
    return len(pair.mine) > MOST or len(pair.theirs) > MOST


GATES: Final[Mapping[str, Callable[[Pair], bool]]] = {
    "quoted": quoted,
    "number": number,
    "unit": unit,
    "date": date,
    "length": length,
    "negation": negation,
    "antonym": antonym,
    "entity": entity,
    "condition": condition,
    "tense": tense,
    "question": question,
    "order": order,
    "word": word,
}
