"""What the notes of a request say, read in one pass."""

import pytest

from gateway.core.notes import (
    Attempted,
    Note,
    Notes,
    Passed,
    Routed,
    StreamEnded,
    Used,
    Verdict,
    Wasted,
)
from gateway.core.outcome import Facts, gather
from gateway.core.reply import Usage


def facts(*left: Note) -> Facts:
    notes = Notes()
    for note in left:
        notes.add(note)
    return gather(notes)


def test_without_a_provider_all_time_is_overhead() -> None:
    assert facts().overhead(10.0, 10.5) == 0.5


def test_time_spent_waiting_for_providers_is_not_overhead() -> None:
    waited = facts(
        Attempted("p", "m", 10.0, 11.0, code="upstream_busy", status=429),
        Attempted("q", "m", 11.25, 12.25),
        StreamEnded("done", 5, 100, 0.5, upstream_seconds=2.0),
    )
    assert waited.overhead(10.0, 15.0) == 1.0


def test_overhead_is_never_below_zero() -> None:
    twice = facts(Attempted("p", "m", 10.0, 12.0), Attempted("q", "m", 10.0, 12.0))
    assert twice.overhead(10.0, 12.0) == 0.0


def test_a_routed_request_that_was_never_tried_names_its_target() -> None:
    routed = facts(Routed("gpt", "one", "explicit"))
    assert (routed.provider, routed.model, routed.reason) == ("one", "gpt", "explicit")


def test_who_was_tried_last_counts_more_than_where_it_was_sent() -> None:
    tried = facts(Attempted("one", "a", 0, 1), Routed("b", "two", "late"))
    assert (tried.provider, tried.reason) == ("one", "late")


def test_verdicts_are_kept_in_order_and_route_nothing() -> None:
    limit, cache = Verdict("rate_limit", "admitted"), Verdict("semantic_cache", "skipped")
    told = facts(limit, Routed("b", "two", "late"), cache)
    assert told.verdicts == (limit, cache)
    assert (told.provider, told.reason) == ("two", "late")


def test_of_two_at_a_time_the_winner_answered_and_both_are_paid_for() -> None:
    notes: tuple[Note, ...] = (
        Attempted("b", "two", 3.0, 5.0),
        Attempted("a", "one", 0.0, 5.1, code="cancelled", status=0),
        Wasted("a", "one", 100, 40),
        Used("two", Usage(100, 7), 60),
    )
    told = facts(*notes)
    assert (told.provider, told.model) == ("b", "two")
    assert told.waited == pytest.approx(5.1)
    assert told.micro_dollars == 100
    assert facts(*notes, Wasted("c", "three", 100, None)).micro_dollars is None


def test_what_an_attempt_used_that_another_one_followed_is_wasted() -> None:
    found = facts(
        Attempted("a", "one", 0.0, 1.0),
        StreamEnded("upstream_cut", 3, 90, 0.1, 0.5, "upstream_truncated"),
        Used("one", Usage(50, 1), 51),
        Passed("one", Usage(50, 9), 59),
        Attempted("b", "two", 2.0, 3.0),
        Used("two", Usage(50, 20), 70),
    )
    assert found.wasted == (Wasted("a", "one", 50, 59, 9),)
    assert (found.passed, found.stream) == (None, None)
    assert found.used == Used("two", Usage(50, 20), 70)
    assert [each.code for each in found.attempts] == ["upstream_truncated", ""]
    assert (found.provider, found.micro_dollars) == ("b", 129)
