"""How often similar questions were answered wrongly, for `turnout cache stats`."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from gateway.core.hit_budget import Group, Standing, decode, standing
from gateway.core.state import State

COLUMNS: Final = (
    *("TENANT", "POLICY", "ASKED", "SEMANTIC HITS", "CHECKS", "WRONG"),
    *("COUNTING", "WRONG SHARE", "BUDGET", "THRESHOLD", "STATE"),
)

Held: TypeAlias = tuple[Group, Standing]


async def groups_of(state: State) -> Sequence[Held]:
    """Return the groups of the store, by name. Raises StateUnavailable."""
    now = state.limiter.now()
    groups = [decode(record.content) for record in await state.audits.all()]
    known = sorted(
        (each for each in groups if each is not None),
        key=lambda group: (group.tenant, group.policy, group.asked),
    )
    return [(each, standing(each, now)) for each in known]


def table_of(groups: Sequence[Held]) -> Sequence[tuple[str, ...]]:
    """Return the rows of a table, its head first."""
    return [COLUMNS, *(_row(*each) for each in groups)]


def _row(group: Group, found: Standing) -> tuple[str, ...]:
    return (
        *(group.tenant, group.policy, group.asked),
        *(f"{count:,}" for count in (group.hits, group.checked, group.wrong, found.checked)),
        f"{found.lower:.2%} to {found.upper:.2%}",
        f"{group.terms.budget:.2%}",
        f"{found.threshold:g}",
        found.state,
    )
