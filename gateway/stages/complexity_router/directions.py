"""`rules:` of the router: what the operator knows better than any score."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.core.catalogue import Catalogue
from gateway.core.exchange import Exchange
from gateway.documents import suggest
from gateway.stages.complexity_router.features import Asked
from gateway.stages.complexity_router.regex import bounded
from gateway.stages.names import Problem
from gateway.stages.when import Texts, When, predicate, several

Holds = Callable[[Exchange, Asked], bool]
NAME: Final = r"^[a-z][a-z0-9_-]{0,31}$"


class RulePolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests for which all of it holds go to a tier, or to one that is no lower."""

    name: Annotated[
        str,
        Meta(
            pattern=NAME,
            title="a word in lower case",
            description="How the route's header calls it.",
        ),
    ]
    when: Annotated[When | None, Meta(description="All of this holds.")] = None
    contains: Annotated[
        Texts | None,
        Meta(description="One of these words or phrases is in what is asked, in any case."),
    ] = None
    matches: Annotated[
        str, Meta(description="A regular expression that is found in what is asked.")
    ] = ""
    tier: Annotated[str, Meta(description="Where such requests go.")] = ""
    min_tier: Annotated[str, Meta(description="Such requests go to this tier or a higher one.")] = (
        ""
    )

    def check(self, tiers: Sequence[str]) -> Iterator[Problem]:
        """Yield what the types cannot say, with paths relative to this rule."""
        if bool(self.tier) == bool(self.min_tier):
            yield Problem((), "say either `tier` or `min_tier`.")
        for field, name in (("tier", self.tier), ("min_tier", self.min_tier)):
            if name and name not in tiers:
                yield Problem((field,), f"there is no such tier.{suggest(name, tiers)}")
        if not (self.when or self.contains or self.matches):
            yield Problem((), "this holds for every request: add `when`, `contains` or `matches`.")
        if not all(text.strip() for text in several(self.contains)):
            yield Problem(("contains",), "an empty text is in every request.")
        try:
            bounded(self.matches)
        except ValueError as error:
            yield Problem(("matches",), str(error))


class Direction:
    """One rule as it runs."""

    def __init__(self, rule: RulePolicy, tiers: Sequence[str], catalogue: Catalogue) -> None:
        self.name = rule.name
        self.fixed = bool(rule.tier)
        """Whether it names the tier itself, and not only the lowest."""
        self.tier = tiers.index(rule.tier or rule.min_tier)
        self._conditions = list(_conditions(rule, catalogue))

    def holds(self, exchange: Exchange, asked: Asked) -> bool:
        """Whether it is for this request."""
        return all(condition(exchange, asked) for condition in self._conditions)


def _conditions(rule: RulePolicy, catalogue: Catalogue) -> Iterator[Holds]:
    if rule.when is not None:
        allows = predicate(rule.when, catalogue)
        yield lambda exchange, _: allows(exchange)
    if rule.contains is not None:
        words = "|".join(re.escape(text.strip()) for text in several(rule.contains))
        yield _found(re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE))
    if rule.matches:
        yield _found(bounded(rule.matches))


def _found(pattern: re.Pattern[str]) -> Holds:
    return lambda _, asked: pattern.search(asked.text) is not None
