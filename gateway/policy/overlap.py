"""Whether two conditions may hold for one request, and whether one leaves anything to the other."""

from collections.abc import Collection, Iterator, Mapping
from math import inf
from typing import Final

from msgspec import Struct

from gateway.core.catalogue import Catalogue
from gateway.core.patterns import matcher
from gateway.stages.when import Range, Texts, When, several

_FLAGS: Final = ("stream", "tools", "image")
_MAPPINGS: Final = ("labels", "header", "metadata")


class Relation(Struct, frozen=True):
    """How two conditions stand to each other, as far as can be told from what they say."""

    apart: bool
    """No request meets both."""
    covers: bool
    """The first meets every request that the second does."""


def relation(first: When, second: When, catalogue: Catalogue) -> Relation:
    """Return how the conditions stand to each other; what is not sure is taken to be possible."""
    parts = list(_parts(first, second, catalogue))
    return Relation(any(each.apart for each in parts), all(each.covers for each in parts))


def _parts(first: When, second: When, catalogue: Catalogue) -> Iterator[Relation]:
    for name in _FLAGS:
        one, other = getattr(first, name), getattr(second, name)
        yield Relation(None not in {one, other} and one is not other, one is None or one is other)
    yield _texts(first.tenant, second.tenant)
    yield _texts(first.endpoint, second.endpoint)
    yield _models(first.model, second.model, catalogue)
    for name in _MAPPINGS:
        ours: Mapping[str, Texts] = getattr(first, name)
        theirs: Mapping[str, Texts] = getattr(second, name)
        for key in {*ours, *theirs}:
            yield _texts(ours.get(key), theirs.get(key))
    yield _ranges(first.tokens, second.tokens)


def _texts(first: Texts | None, second: Texts | None) -> Relation:
    if first is None or second is None:
        return Relation(apart=False, covers=first is None)
    ours, theirs = several(first), several(second)
    meets = any(_may_meet(one, other) for one in ours for other in theirs)
    admits = matcher(ours)
    return Relation(not meets, all(x in ours or ("*" not in x and admits(x)) for x in theirs))


def _may_meet(first: str, second: str) -> bool:
    """Whether some text may fit both patterns."""
    if "*" not in first or "*" not in second:
        return matcher((first,))(second) if "*" not in second else matcher((second,))(first)
    heads = first.split("*", maxsplit=1)[0], second.split("*", maxsplit=1)[0]
    tails = first.rsplit("*", maxsplit=1)[-1], second.rsplit("*", maxsplit=1)[-1]
    same_head = heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])
    return same_head and (tails[0].endswith(tails[1]) or tails[1].endswith(tails[0]))


def _models(first: Texts | None, second: Texts | None, catalogue: Catalogue) -> Relation:
    if first is None or second is None:
        return Relation(apart=False, covers=first is None)
    ours, theirs = (_named(each, catalogue) for each in (first, second))
    return Relation(not set(ours) & set(theirs), set(theirs) <= set(ours))


def _named(texts: Texts, catalogue: Catalogue) -> Collection[str]:
    return catalogue.matching(several(texts))


def _ranges(first: Range | None, second: Range | None) -> Relation:
    (low, high), (least, most) = _bounds(first), _bounds(second)
    return Relation(high <= least + 1 or most <= low + 1, low <= least and most <= high)


def _bounds(tokens: Range | None) -> tuple[float, float]:
    """Return what a number is above and below."""
    above = None if tokens is None else tokens.above
    below = None if tokens is None else tokens.below
    return -1 if above is None else above, inf if below is None else below
