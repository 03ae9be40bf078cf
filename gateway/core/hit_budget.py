"""The false-hit budget: which threshold a group of similar questions has earned. Pure.

A check says whether a stored answer to a similar question would do. It keeps the score of the two
questions, so that it counts for every threshold up to that score, whatever the threshold was.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, sqrt
from struct import Struct as Layout
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import wire

WINDOW: Final = 4096
"""The newest checks of a group that are kept: enough to prove a budget of 0.001."""
AGE: Final = 30 * 86_400.0
"""Seconds after which a check counts no more."""
ENOUGH: Final = 50
"""Checks below which no bound is told: it would be above 7 % even if all of them were right."""
CLEAN: Final = 200
"""Checks without a wrong one after which a raised threshold comes down a step."""
STEP: Final = 0.005
UP: Final = 2
"""Steps that the threshold rises at once."""
_Z: Final = 1.96
"""Of the normal distribution: each end of the interval is passed by chance 1 time in 40."""
_UNIT: Final = 10_000
"""Scores are kept in ten-thousandths, rounded down."""
_WRONG: Final = 1 << 15
_CHECK: Final = Layout("<IH")
_WIDTH: Final = round(STEP * _UNIT)
_Checks: TypeAlias = list[tuple[Any, ...]]
"""Times in whole seconds and packed scores, the oldest first."""

State = Literal["shadow", "exact-only", "unproven", "proven"]


class Check(Struct, frozen=True, gc=False):
    """One comparison. `at` is epoch seconds; `score` is the cosine of the two questions."""

    at: float
    score: float
    wrong: bool


class Terms(Struct, frozen=True):
    """What a policy says: its threshold, wrong hits of all semantic hits, and how it starts."""

    threshold: float = 0.94
    budget: float = 0.01
    shadow: bool = False
    """Whether nothing is served before the budget is proven."""


class Group(Struct, frozen=True):
    """What is known of one tenant's requests for one model or alias under one policy."""

    tenant: str
    policy: str
    asked: str
    terms: Terms = Terms()
    """As who wrote it last had them."""
    raised: int = 0
    """Steps above the policy's threshold."""
    proven: bool = False
    """Whether it was let out of the shadow."""
    clean: int = 0
    """Checks since the last change or wrong one."""
    hits: int = 0
    checked: int = 0
    wrong: int = 0
    """Of all time, as `hits` and `checked`."""
    checks: bytes = b""
    """The newest, packed; `checks_of` reads them."""

    @property
    def threshold(self) -> float:
        """The least cosine that is served; from 1 on none is."""
        return min(1.0, round(self.terms.threshold + STEP * self.raised, 6))

    @property
    def serves(self) -> bool:
        """Whether anything similar is served at all."""
        return self.threshold < 1 and (self.proven or not self.terms.shadow)


class Standing(Struct, frozen=True):
    """How a group stands: the checks that count at its threshold, and what they prove."""

    threshold: float
    serves: bool
    state: State
    checked: int
    wrong: int
    lower: float
    upper: float

    @property
    def risk(self) -> str:
        """The share of wrong hits that is not exceeded, as a header shows it."""
        if self.checked < ENOUGH:
            return "unproven"
        return f"<={ceil(self.upper * 1000) / 1000:g}"


def wilson(wrong: int, checked: int) -> tuple[float, float]:
    """Return both ends of the 95 % score interval of a share; 0 and 1 where nothing is known."""
    if not checked:
        return 0.0, 1.0
    share, square = wrong / checked, _Z * _Z
    middle = share + square / (2 * checked)
    spread = _Z * sqrt(share * (1 - share) / checked + square / (4 * checked * checked))
    whole = 1 + square / checked
    lower = (middle - spread) / whole if wrong else 0.0
    return max(0.0, lower), min(1.0, (middle + spread) / whole) if wrong < checked else 1.0


def standing(group: Group, now: float) -> Standing:
    """Return how a group stands now."""
    threshold = group.threshold
    checked, wrong = _counted(_fresh(group, now), _whole(threshold))
    lower, upper = wilson(wrong, checked)
    state: State = "proven" if upper <= group.terms.budget else "unproven"
    if not group.serves:
        state = "exact-only" if threshold >= 1 else "shadow"
    return Standing(threshold, group.serves, state, checked, wrong, lower, upper)


def checks_of(group: Group, now: float) -> Sequence[Check]:
    """Return the checks that still count, the oldest first."""
    return [
        Check(at, (score & ~_WRONG) / _UNIT, wrong=score >= _WRONG)
        for at, score in _fresh(group, now)
    ]


def advance(group: Group, checks: Iterable[Check], now: float) -> Group:
    """Return the group after more checks; each moves its threshold once at most."""
    kept = _fresh(group, now)
    for check in checks:
        kept.append((int(check.at), _whole(check.score) | (_WRONG if check.wrong else 0)))
        del kept[:-WINDOW]
        checked, wrong = group.checked + 1, group.wrong + check.wrong
        group = _moved(replace(group, checked=checked, wrong=wrong), kept, check)
    return replace(group, checks=b"".join(_CHECK.pack(*each) for each in kept))


def _moved(group: Group, kept: _Checks, check: Check) -> Group:
    """Return the group with the threshold that it has earned by its newest check."""
    if not group.serves:
        return _let_out(group, kept)
    least = _whole(group.threshold)
    if _whole(check.score) < least:
        return group
    checked, wrong = _counted(kept, least)
    if wilson(wrong, checked)[0] > group.terms.budget:
        raised = replace(group, raised=group.raised + UP, clean=0)
        # Where nothing is served any more, it has to be proven anew.
        return raised if raised.serves else replace(raised, proven=False)
    clean = 0 if check.wrong else group.clean + 1
    if clean >= CLEAN and group.raised:
        return _lowered(group, kept)
    return replace(group, clean=clean)


def _lowered(group: Group, kept: _Checks) -> Group:
    """Come down a step, unless what is known of that step already speaks against it."""
    below = replace(group, raised=group.raised - 1, clean=0)
    checked, wrong = _counted(kept, _whole(below.threshold))
    against = wilson(wrong, checked)[0] > group.terms.budget
    return replace(group, clean=0) if against else below


def _let_out(group: Group, kept: _Checks) -> Group:
    """Serve from the lowest threshold on at which the budget is proven, if there is one."""
    terms, least = group.terms, _whole(group.terms.threshold)
    steps = ceil((_UNIT - least) / _WIDTH)
    found, checked, wrong = -1, 0, 0
    tallies = Counter(((score & ~_WRONG) - least) // _WIDTH for _, score in kept)
    wrongs = Counter((score - _WRONG - least) // _WIDTH for _, score in kept if score >= _WRONG)
    for step in range(max([steps, *tallies]), -1, -1):
        checked, wrong = checked + tallies[step], wrong + wrongs[step]
        if step < steps and wilson(wrong, checked)[1] <= terms.budget:
            found = step
    return group if found < 0 else replace(group, raised=found, proven=True, clean=0)


def encode(group: Group) -> bytes:
    """Return a group as it is kept."""
    return wire.encode(group)


def decode(content: bytes) -> Group | None:
    """Return a group that was kept, None for what is none."""
    try:
        group = wire.decode_as(content, Group)
    except ValueError:
        return None
    return None if len(group.checks) % _CHECK.size else group


def _fresh(group: Group, now: float) -> _Checks:
    since = now - AGE
    return [each for each in _CHECK.iter_unpack(group.checks) if each[0] >= since]


def _counted(kept: _Checks, least: int) -> tuple[int, int]:
    """Return how many checks count at a threshold, and how many of them were wrong."""
    scores = [score for _, score in kept if score & ~_WRONG >= least]
    return len(scores), sum(score >= _WRONG for score in scores)


def _whole(score: float) -> int:
    """Return a score in ten-thousandths, rounded down but for what floats lack."""
    return max(0, min(_UNIT, int(round(score * _UNIT, 2))))
