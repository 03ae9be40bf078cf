"""What a process sends, when, and what becomes of it while the store is away."""

from gateway.core.errors import StateUnavailable
from gateway.core.tallies import KEPT, PART, Agreed
from gateway.state.tallies import POLL, UNASKED, Batch, Found, SharedTallies, Wanted
from gateway.state.tallies_memory import in_memory
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import make_runtime


class Board:
    """A store that can be away, or lose its answer after it did what was asked."""

    def __init__(self) -> None:
        self.away = False
        self.silent = False
        self.heard: list[Batch] = []
        self.wanted = Wanted(0, {}, ())
        self._exchange = in_memory()

    def empty(self) -> None:
        self._exchange = in_memory()

    async def exchange(self, batch: Batch, wanted: Wanted) -> Found:
        if self.away:
            raise StateUnavailable("away")
        self.heard.append(batch)
        self.wanted = wanted
        if self.silent:
            raise StateUnavailable("silent")
        return await self._exchange(batch, wanted)


class Here:
    def __init__(self) -> None:
        self.clock, self.board = FakeClock(), Board()
        self.tallies = SharedTallies(self.board.exchange, self.clock.uptime, self.clock)


async def test_a_process_looks_every_five_seconds() -> None:
    here = Here()
    keeping = make_runtime(here.clock).spawn("tallies", here.tallies.keep_current())
    here.tallies.add("a", 1, 2)
    await here.clock.advance(POLL)
    await here.clock.advance(POLL)
    here.tallies.add("a", 1, 3)
    await here.clock.advance(POLL)
    assert [each.added[0].cells for each in here.board.heard] == [{1: 2}, {1: 3}]
    keeping.cancel()


async def test_who_neither_counts_nor_asks_costs_the_store_nothing() -> None:
    here = Here()
    await here.tallies.look()
    assert here.board.heard == []


async def test_what_is_counted_while_the_store_is_away_is_sent_when_it_is_back() -> None:
    here = Here()
    here.board.away = True
    here.tallies.add("a", 1, 1)
    await here.tallies.look()
    here.tallies.add("a", 1, 1)
    await here.tallies.look()
    here.board.away = False
    here.tallies.sums("a", 10)
    await here.tallies.look()
    await here.tallies.look()
    assert here.tallies.sums("a", 10) == {1: 2}


async def test_a_batch_whose_answer_was_lost_is_sent_again_under_its_number() -> None:
    here = Here()
    here.board.silent = True
    here.tallies.add("a", 1, 1)
    await here.tallies.look()
    here.tallies.add("a", 1, 1)
    here.board.silent = False
    await here.tallies.look()
    await here.tallies.look()
    told = [(each.number, [added.cells for added in each.added]) for each in here.board.heard]
    assert told == [(1, [{1: 1}]), (1, [{1: 1}]), (2, [{1: 1}])]


async def test_what_is_over_by_the_time_it_can_be_sent_is_left_out() -> None:
    here = Here()
    here.tallies.add("a", 1, 1)
    here.clock.now += PART * KEPT
    here.tallies.add("a", 2, 1)
    await here.tallies.look()
    assert [each.cells for each in here.board.heard[0].added] == [{2: 1}]


async def test_a_name_that_nobody_asks_for_any_more_is_not_looked_up() -> None:
    here = Here()
    here.tallies.sums("old", 10)
    here.tallies.agreed("old cuts")
    here.clock.now += UNASKED
    here.tallies.sums("new", 10)
    await here.tallies.look()
    assert here.board.wanted.sums == {"old": 10, "new": 10}
    here.clock.now += 1
    await here.tallies.look()
    assert here.board.wanted == Wanted(here.board.wanted.part, {"new": 10}, ())


async def test_a_store_that_lost_a_setting_is_told_it_again() -> None:
    here = Here()
    here.tallies.agreed("cuts")
    here.tallies.propose("cuts", Agreed(4, "kept"))
    await here.tallies.look()
    here.board.empty()
    await here.tallies.look()
    assert here.tallies.agreed("cuts") == Agreed(4, "kept")
    await here.tallies.look()
    assert here.board.heard[-1].proposed == {"cuts": Agreed(4, "kept")}
    await here.tallies.look()
    assert here.board.heard[-1].proposed == {}


async def test_a_proposal_that_did_not_arrive_is_forgotten() -> None:
    """It was made from counts that are old by then; whoever decides makes another."""
    here = Here()
    here.board.away = True
    here.tallies.agreed("cuts")
    here.tallies.propose("cuts", Agreed(1, "old"))
    await here.tallies.look()
    here.board.away = False
    await here.tallies.look()
    await here.tallies.look()
    assert here.tallies.agreed("cuts") == Agreed()
