"""What followers are told, and that silence makes them forget."""

from gateway.core.answers import Change, Cleared, Removed, StoreCounts, Stored
from gateway.state.answers_feed import SILENCE, Feed
from tests.fakes.clock import FakeClock
from tests.fakes.kept import answer


class Told:
    def __init__(self) -> None:
        self.clock, self.counts = FakeClock(), StoreCounts()
        self.feed = Feed(self.clock, self.counts)
        self.changes: list[Change] = []
        self.feed.follow(self.changes.extend)


def test_what_could_not_be_kept_is_told_as_removed() -> None:
    told = Told()
    told.feed.lose([answer(1), answer(2)])
    assert told.changes == [Removed(("id-1", "id-2"))]
    assert told.counts.dropped == 2


def test_ones_own_answers_are_remembered_until_they_are_told() -> None:
    told = Told()
    for number in (1, 2, 3):
        told.feed.put(answer(number))
    told.feed.tell([Stored(answer(1)), Removed(("id-2",))])
    assert set(told.feed.own) == {"id-3"}
    told.feed.tell([Cleared()])
    assert told.feed.own == {}


def test_without_a_follower_nothing_is_remembered() -> None:
    feed = Feed(FakeClock(), StoreCounts())
    feed.put(answer(1))
    assert (feed.followed, feed.own) == (False, {})


def test_silence_makes_followers_forget_everything_once() -> None:
    told = Told()
    told.feed.miss()
    told.clock.now += SILENCE
    told.feed.miss()
    told.feed.miss()
    assert told.changes == [Cleared()]
    assert told.counts.missed == 1
    told.feed.hear()
    told.feed.miss()
    assert len(told.changes) == 1
    told.clock.now += SILENCE
    told.feed.miss()
    assert told.changes == [Cleared(), Cleared()]
