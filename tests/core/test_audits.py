"""Checks as a process knows them: gathered, written once, kept while the store is away."""

from msgspec.structs import replace

from gateway.core import audits
from gateway.core.audits import Audits, Record, name_of
from gateway.core.errors import StateUnavailable
from gateway.core.hit_budget import Group, Terms, decode
from gateway.state.audits_memory import MemoryAudits

GROUP = Group("acme", "default", "gpt")
NOW = 1_700_000_000.0


class Store(MemoryAudits):
    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.swaps = 0

    async def swap(self, record: Record, /) -> Record | None:
        self.swaps += 1
        if self.away:
            raise StateUnavailable("It is away.")
        return await super().swap(record)

    async def kept(self) -> Group:
        (record,) = await self.all()
        group = decode(record.content)
        assert group is not None
        return group


def opened(store: Store) -> Audits:
    return Audits(store, lambda: NOW)


async def test_checks_count_once_they_are_written_and_some_are_one_write() -> None:
    store = Store()
    one = opened(store)
    for _ in range(60):
        one.hit(GROUP)
        one.add(GROUP, 0.95, wrong=False)
    assert one.standing(GROUP).checked == 0
    await one.flush()
    await one.flush()
    assert store.swaps == 3
    assert one.standing(GROUP).checked == 60
    assert (await store.kept()).hits == 60


async def test_what_two_processes_find_out_adds_up() -> None:
    store = Store()
    one, two = opened(store), opened(store)
    for audits_of in (one, two, one, two):
        audits_of.add(GROUP, 0.95, wrong=audits_of is two)
        await audits_of.flush()
    assert one.standing(GROUP) == two.standing(GROUP)
    kept = await store.kept()
    assert (kept.checked, kept.wrong) == (4, 2)


async def test_who_was_slower_starts_over_with_what_is_there() -> None:
    class Deaf(Store):
        def follow(self, callback: object, /) -> None:
            """Tell nobody."""

    store = Deaf()
    one, two = opened(store), opened(store)
    for audits_of in (one, two):
        audits_of.add(GROUP, 0.95, wrong=False)
        await audits_of.flush()
    assert store.swaps == 3
    assert (await store.kept()).checked == 2
    three = opened(store)
    assert three.standing(GROUP).checked == 0
    await three.load()
    assert three.standing(GROUP).checked == 2


async def test_while_the_store_is_away_checks_wait_and_the_oldest_make_room() -> None:
    store = Store()
    one = opened(store)
    store.away = True
    for _ in range(audits.WAITING + 7):
        one.add(GROUP, 0.95, wrong=False)
    await one.flush()
    one.hit(GROUP)
    one.add(GROUP, 0.95, wrong=True)
    store.away = False
    await one.flush()
    kept = await store.kept()
    assert (kept.checked, kept.wrong, kept.hits) == (audits.WAITING, 1, 1)
    assert one.lost == 8


async def test_what_the_store_lost_is_put_there_again() -> None:
    store = Store()
    one = opened(store)
    one.add(GROUP, 0.95, wrong=False)
    await one.flush()
    store._records.clear()
    one.add(GROUP, 0.95, wrong=False)
    await one.flush()
    assert (await store.kept()).checked == 2


async def test_a_store_that_always_has_another_does_not_hold_it_up() -> None:
    class Busy(Store):
        async def swap(self, record: Record, /) -> Record | None:
            self.swaps += 1
            return replace(record, revision=self.swaps + 100, content=b"{}")

    store = Busy()
    one = opened(store)
    one.add(GROUP, 0.95, wrong=False)
    await one.flush()
    assert store.swaps == audits.TRIES
    assert one.standing(GROUP).checked == 0


async def test_a_group_stands_by_the_terms_that_count_now() -> None:
    store = Store()
    one = opened(store)
    one.add(GROUP, 0.95, wrong=False)
    await one.flush()
    strict = replace(GROUP, terms=Terms(0.96, 0.001, shadow=True))
    assert one.standing(GROUP).checked == 1
    assert (one.standing(strict).checked, one.standing(strict).serves) == (0, False)
    assert one.standing(GROUP).checked == 1


async def test_a_report_counts_at_the_threshold_as_it_is() -> None:
    store = Store()
    one = opened(store)
    one.report("acme", "default", "gpt")
    await one.flush()
    assert one.standing(GROUP).threshold == 0.95
    assert one.standing(GROUP).wrong == 0
    ((group, found),) = one.groups()
    assert (group.wrong, found.threshold) == (1, 0.95)


async def test_groups_are_bounded() -> None:
    store = Store()
    one = opened(store)
    for number in range(audits.MOST + 5):
        group = replace(GROUP, asked=f"m{number}")
        one.add(group, 0.95, wrong=False)
        one.standing(group)
    assert one.lost == 5
    await one.flush()
    assert len(list(one.groups())) == audits.MOST


def test_no_two_groups_have_one_name() -> None:
    assert name_of(Group("a/b", "c", "d")) != name_of(Group("a", "b/c", "d"))
