"""What every store promises about counts that processes share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.tallies import KEPT, PART, Agreed
from tests.fakes.redis_server import RedisServer
from tests.fakes.stores import Store
from tests.fakes.tallying import Teller, look, tellers


@pytest.fixture
def teller(store: Store) -> Teller:
    return Teller(store)


@pytest.fixture(params=["sqlite", "redis"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Teller]]:
    url = ""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        await asyncio.to_thread(server.command, "FLUSHALL")
        url = server.url
    async with tellers(request.param, tmp_path, url) as found:
        yield found


async def test_what_was_added_is_in_the_sums_after_a_look(teller: Teller) -> None:
    teller.add(3, 3, 511)
    assert teller.sums() == {}
    await look(teller)
    assert teller.sums() == {3: 2, 511: 1}
    teller.add(3)
    await look(teller)
    assert teller.sums() == {3: 3, 511: 1}


async def test_a_name_counts_for_itself(teller: Teller) -> None:
    teller.add(1)
    teller.add(2, name="another's: 'quoted'")
    teller.sums(name="another's: 'quoted'")
    await look(teller)
    assert teller.sums() == {1: 1}
    assert teller.sums(name="another's: 'quoted'") == {2: 1}


async def test_sums_are_the_same_object_until_there_is_news(teller: Teller) -> None:
    teller.add(1)
    await look(teller)
    before = teller.tallies.sums("auto/scores", 100)
    await look(teller)
    assert teller.tallies.sums("auto/scores", 100) is before
    teller.add(1)
    await look(teller)
    assert teller.tallies.sums("auto/scores", 100) == {1: 2}


async def test_sums_reach_back_only_as_far_as_is_enough(teller: Teller) -> None:
    for cell in (1, 2, 3):
        teller.add(cell, cell)
        teller.wait(PART)
    assert teller.sums(enough=3) == {}
    await look(teller)
    assert teller.sums(enough=3) == {2: 2, 3: 2}
    assert teller.sums(enough=2) == {2: 2, 3: 2}
    await look(teller)
    assert teller.sums(enough=2) == {3: 2}


async def test_after_seven_days_a_part_is_over(teller: Teller) -> None:
    teller.add(7)
    await look(teller)
    teller.wait(PART * (KEPT - 1))
    teller.sums()
    teller.add(8)
    await look(teller)
    assert teller.sums() == {7: 1, 8: 1}
    teller.wait(PART)
    teller.add(8)
    await look(teller)
    assert teller.sums() == {8: 2}


async def test_a_setting_is_agreed_by_its_version(teller: Teller) -> None:
    await look(teller)
    assert teller.agreed() == Agreed()
    teller.propose(1, '{"cuts": ["ä"]}')
    await look(teller)
    assert teller.agreed() == Agreed(1, '{"cuts": ["ä"]}')
    teller.propose(1, "late")
    await look(teller)
    assert teller.agreed() == Agreed(1, '{"cuts": ["ä"]}')
    teller.propose(2, "next")
    await look(teller)
    assert teller.agreed() == Agreed(2, "next")


async def test_a_setting_in_use_stays_however_old_it_is(teller: Teller) -> None:
    teller.propose(1, "kept")
    await look(teller)
    for _ in range(3):
        teller.wait(PART * KEPT / 2)
        teller.add(1)
        teller.agreed()
        teller.sums()
        await look(teller)
    assert teller.agreed() == Agreed(1, "kept")


async def test_processes_add_up_whoever_looks_first(both: list[Teller]) -> None:
    one, two = both
    for number in range(5):
        one.add(1, number + 10)
        two.add(1, number + 12)
        await look(two, one)
    await look(one, two)
    together = {1: 10, 10: 1, 11: 1, 12: 2, 13: 2, 14: 2, 15: 1, 16: 1}
    assert one.sums() == two.sums() == together


async def test_of_two_proposals_of_one_version_both_processes_go_by_the_first(
    both: list[Teller],
) -> None:
    one, two = both
    one.propose(1, "of one")
    two.propose(1, "of two")
    await look(two, one)
    assert one.agreed() == two.agreed() == Agreed(1, "of two")


async def test_a_process_that_is_closed_has_sent_all_and_a_killed_one_all_but_the_last(
    both: list[Teller], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    one, two = both
    url = ""
    if "redis" in request.node.name:
        url = request.getfixturevalue("redis").url
    async with tellers("redis" if url else "sqlite", tmp_path, url) as (three, _):
        three.add(5)
    one.add(5)
    await look(one)
    one.add(6)  # and then it is killed: nobody ever hears of this one
    await look(two)
    assert two.sums() == {5: 2}
