"""What stands in a policy and cannot come into effect."""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.stages.failover.targets import TargetPolicy
from gateway.stages.names import Problem

SPREAD: Final = frozenset({"weighted", "balanced"})
"""Strategies that give targets shares."""


def check_weights(field: str, targets: Sequence[TargetPolicy], strategy: str) -> Iterator[Problem]:
    """Yield a warning for each weight that nobody looks at."""
    main = field == "targets"
    if main and strategy in SPREAD:
        return
    how = f"`{strategy}` has no shares" if main else "these are tried as listed"
    for index, target in enumerate(targets):
        if target.weight != 1:
            what = f"has no effect: {how}. It is for `weighted` and `balanced`."
            yield Problem((field, index, "weight"), what, "warning")


def check_times(
    field: str, targets: Sequence[TargetPolicy], deadline: float | None
) -> Iterator[Problem]:
    """Yield a warning for each wait for a first token that the deadline ends before."""
    for index, target in enumerate(targets):
        seconds = target.first_token
        if seconds is not None and deadline is not None and seconds >= deadline:
            what = f"the stage's deadline of {deadline:g} s comes first: no other target is tried."
            yield Problem((field, index, "first_token"), what, "warning")


def check_hedge(targets: Sequence[TargetPolicy]) -> Iterator[Problem]:
    """Yield a warning if nobody can be asked beside the first."""
    if len(targets) == 1:
        what = "never happens: there is no second target to ask."
        yield Problem(("hedge",), what, "warning")
