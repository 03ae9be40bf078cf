"""Groups of similar questions as `turnout cache stats` shows them."""

from gateway.commands.cache_groups import COLUMNS, groups_of, table_of
from gateway.core.audits import Audits, Record
from gateway.core.hit_budget import Group, Terms
from gateway.state.memory import memory_state
from tests.fakes.clock import FakeClock


async def test_each_group_is_a_row_with_what_its_checks_prove() -> None:
    state = memory_state(FakeClock())
    audits = Audits(state.audits, state.limiter.now)
    for tenant, shadow in (("bob", False), ("acme", True)):
        group = Group(tenant, "default", "gpt", Terms(shadow=shadow))
        audits.hit(group)
        for _ in range(49):
            audits.add(group, 0.97, wrong=False)
        audits.add(group, 0.97, wrong=True)
    await audits.flush()
    await state.audits.swap(Record("garbage", 1, b"{}"))
    head, acme, bob = table_of(await groups_of(state))
    assert head == COLUMNS
    assert acme == (
        *("acme", "default", "gpt", "1", "50", "1", "50"),
        *("0.35% to 10.50%", "1.00%", "0.94", "shadow"),
    )
    assert (bob[0], bob[-2:]) == ("bob", ("0.94", "unproven"))


async def test_without_any_there_is_only_the_head() -> None:
    assert table_of(await groups_of(memory_state(FakeClock()))) == [COLUMNS]
