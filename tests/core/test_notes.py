"""Notes are kept in order and found by kind."""

from gateway.core.notes import Attempted, Notes, Routed, Used
from gateway.core.reply import Usage

FIRST = Attempted("p", "m", 1.0, 2.0, code="upstream_busy", status=429)
SECOND = Attempted("q", "m", 2.0, 4.0)


def test_notes_of_a_kind_come_oldest_first() -> None:
    notes = Notes()
    notes.add(FIRST)
    notes.add(Routed("m", "p", "asked for"))
    notes.add(SECOND)
    assert notes.all(Attempted) == [FIRST, SECOND]
    assert list(notes) == [FIRST, Routed("m", "p", "asked for"), SECOND]


def test_the_last_of_a_kind_is_the_newest_or_nothing() -> None:
    notes = Notes()
    assert notes.last(Attempted) is None
    notes.add(FIRST)
    notes.add(SECOND)
    notes.add(Used("m", Usage(), None))
    assert notes.last(Attempted) is SECOND
    assert notes.last(Routed) is None


def test_a_fact_can_be_brought_behind_those_that_were_left_since() -> None:
    notes = Notes()
    first, second = FIRST, SECOND
    notes.add(first)
    notes.add(second)
    notes.bring_last(first)
    assert list(notes) == [second, first]
